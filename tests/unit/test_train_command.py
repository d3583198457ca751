"""`scripts/train`: what it refuses on the spot, and how it chooses an engine."""

from __future__ import annotations

import os
import subprocess
from functools import partial
from pathlib import Path
from typing import Dict, List, Optional

import pytest

from rl_app.storage.directory import DirectoryStore
from scripts.commands import train
from scripts.lib import engine
from scripts.lib.environments import ROOT
from tests.made_jobs import make


def run(
    words: List[str], cwd: Path, environ: Optional[Dict[str, str]] = None, command: str = "train"
) -> subprocess.CompletedProcess[str]:
    given = {
        key: value for key, value in os.environ.items() if key not in ("EXPERIMENT", "HYPERPARAMETERS", "JOB", "STORE")
    }
    return subprocess.run(
        [str(ROOT / "scripts" / command), *words],
        cwd=cwd,
        env={**given, **(environ or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
    )


@pytest.fixture
def no_engine(tmp_path: Path) -> Dict[str, str]:
    """A PATH on which `docker` says that no engine answers."""
    docker = tmp_path / "bin" / "docker"
    docker.parent.mkdir()
    docker.write_text("#!/bin/sh\necho 'Cannot connect to the Docker daemon. Is it running?' >&2\nexit 1\n")
    docker.chmod(0o755)
    return {"PATH": f"{docker.parent}{os.pathsep}{os.environ['PATH']}"}


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["cartpol"], ["cartpol", "cartpole"]),
        (["config.lrr=0.1"], ["config.lrr", "lr"]),
        (["config.lr=fast"], ["config.lr", "fast"]),
        (["seed=1", "seed=2"], ["seed"]),
        (["cartpole", "cartpole-aws"], ["cartpole and cartpole-aws"]),
        (["--job", "no spaces"], ["no spaces"]),
        (["--hosts", "0"], ["--hosts 0: at least 1"]),
        (["--hosts", "2", "--gpu", "--engine", "docker"], ["--hosts 2: not together with --gpu"]),
        (["--hosts", "2", "--engine", "process"], ["--hosts 2: goes with --engine docker"]),
        (
            ["--engine", "docker", "--store", "elsewhere"],
            ["--engine docker", "--store elsewhere is a directory", "--engine process"],
        ),
    ],
    ids=" ".join,
)
def test_what_is_wrong_is_refused_in_one_line_before_anything_is_made(
    words: List[str], named: List[str], tmp_path: Path
) -> None:
    refused = run([*words, "--engine", "process"] if "--engine" not in words else words, tmp_path)
    assert refused.returncode == 2, refused.stderr
    assert refused.stdout == ""
    assert len(refused.stderr.splitlines()) == 1, refused.stderr
    assert [text for text in named if text not in refused.stderr] == []
    assert list(tmp_path.iterdir()) == []


def test_settings_from_the_environment_are_checked_too(tmp_path: Path) -> None:
    refused = run(["--engine", "process"], tmp_path, {"EXPERIMENT": "cartpol"})
    assert refused.returncode == 2
    assert "cartpol" in refused.stderr


def test_docker_is_refused_where_no_engine_answers(tmp_path: Path, no_engine: Dict[str, str]) -> None:
    refused = run(["--engine", "docker"], tmp_path, no_engine)
    assert refused.returncode == 2
    assert "Cannot connect to the Docker daemon" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1, refused.stderr


def test_without_an_engine_it_says_why_it_trains_in_a_process(
    no_engine: Dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", no_engine["PATH"])
    assert train.choose(None, None) == "process"
    said = capsys.readouterr()
    assert said.out == ""
    assert "Cannot connect to the Docker daemon" in said.err
    assert len(said.err.splitlines()) == 1


def test_an_engine_that_does_not_answer_is_not_waited_for(
    tmp_path: Path, no_engine: Dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bin" / "docker").write_text("#!/bin/sh\nexec sleep 600\n")
    monkeypatch.setenv("PATH", no_engine["PATH"])
    monkeypatch.setattr(engine, "DEADLINE", 0.5)
    assert engine.why_not() == "`docker info` did not answer in 0.5 s"


def test_a_directory_as_the_store_means_a_process(capsys: pytest.CaptureFixture[str]) -> None:
    assert train.choose(None, "elsewhere") == "process"
    assert "--store elsewhere is a directory" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        (["--hosts", "2"], "--hosts 2: {}; without --hosts a process trains without Docker\n"),
        (["--engine", "docker"], "--engine docker: {}; --engine process trains without Docker\n"),
    ],
)
def test_what_needs_docker_names_the_flag_that_was_typed(words: List[str], advice: str, tmp_path: Path) -> None:
    refused = run([*words, "--store", "elsewhere"], tmp_path, {})
    assert refused.stderr == advice.format("--store elsewhere is a directory of this machine")
    assert refused.returncode == 2


def test_the_store_of_compose_means_docker(tmp_path: Path) -> None:
    start = train.parse(["--store", "compose"])
    assert (start.job.store, start.engine) == (None, "docker")
    for command in ("train", "evaluate", "serve", "upload"):
        refused = run(["first", "--store", "compose", "--engine", "process"], tmp_path, command=command)
        assert refused.stderr == "--store compose: the store of jobs in Docker; not together with --engine process\n"
        assert refused.returncode == 2


def test_a_job_goes_on_in_the_engine_in_which_it_ran(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make(DirectoryStore(tmp_path / "runs"), "first", "Stopped")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(engine, "why_not", lambda: None)
    monkeypatch.setattr(train, "kept_here", partial(train.kept_here, root=tmp_path))
    assert train.choose(None, None, resumed="first") == "process"
    assert capsys.readouterr().err == "training in a process: first is a job of runs\n"
    assert train.choose(None, None, resumed="second") == "docker"
    assert train.choose("docker", None, resumed="first") == "docker"


@pytest.mark.parametrize("store", ["elsewhere", "file:///elsewhere"])
def test_so_does_one_that_the_environment_names(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STORE", store)
    assert train.choose(None, None) == "process"
    assert f"STORE = {store} is a directory of this machine" in capsys.readouterr().err
    refused = run(["--engine", "docker"], tmp_path, {"STORE": store})
    assert refused.returncode == 2
    assert refused.stderr.startswith(f"--engine docker: STORE = {store} is a directory of this machine; --engine")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--gpu"], "--gpu: `docker info` says: Cannot connect to the Docker daemon. Is it running?"),
        (["--gpu", "--engine", "process"], "--gpu: goes with --engine docker; what trains in a process has no CUDA"),
    ],
    ids=" ".join,
)
def test_without_a_gpu_to_train_on_one_line_says_how_to_go_on(
    tmp_path: Path, no_engine: Dict[str, str], words: List[str], said: str
) -> None:
    refused = run(words, tmp_path, no_engine)
    (line,) = refused.stderr.splitlines()
    assert refused.returncode == 2
    assert line.startswith(said) and line.endswith("without --gpu the CPU trains")


@pytest.mark.parametrize(
    ("docker_says", "ours"),
    [
        (
            'docker: Error response from daemon: could not select device driver "" with capabilities: [[gpu]].',
            "this engine has no NVIDIA container toolkit: install nvidia-container-toolkit where it runs",
        ),
        (
            "docker: Error response from daemon: failed to create shim task: OCI runtime create failed: running hook "
            "#0: error running hook: exit status 1, stderr: Auto-detected mode as 'legacy' "
            "nvidia-container-cli: initialization error: nvml error: driver not loaded: unknown.",
            "the NVIDIA container toolkit finds no driver or no GPU: initialization error: nvml error: driver not "
            "loaded: unknown.",
        ),
        ("`docker run` did not answer in 300 s", "`docker run` did not answer in 300 s"),
    ],
)
def test_why_docker_gives_no_gpu(docker_says: str, ours: str) -> None:
    assert engine.gpu_trouble(docker_says) == ours
