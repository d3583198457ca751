"""`scripts/evaluate`: what it refuses on the spot, and where it evaluates."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import List, Optional

import pytest

from rl_app.errors import UserError
from rl_app.store import DirectoryStore
from scripts import engine, evaluating, models
from scripts.environments import ROOT
from tests.made_jobs import make


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MODEL", "HYPERPARAMETERS", "JOB", "STORE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("S3_PORT", "1")  # where nothing listens


def refusal(words: List[str], cwd: Path) -> "tuple[int, List[str]]":
    done = subprocess.run(
        [str(ROOT / "scripts" / "evaluate"), *words, "--engine", "process"],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
    )
    assert done.stdout == ""
    return done.returncode, done.stderr.splitlines()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["first", "--episodes", "0"], "evaluate_episodes = 0: must be 1 or more"),
        (["first", "--seed", "three"], 'seed = "three": expected an integer'),
        (["first", "seed=1", "--seed", "1"], "seed = 1: given twice"),
        (["first", "episodes=3"], "episodes = 3: unknown"),
        (["none/model.tar.gz"], "none/model.tar.gz: there is no such file or directory"),
        (["first", "--source", "none"], "none: there is no such file or directory"),
        (["first", "--job", "no spaces"], 'job name = "no spaces"'),
    ],
    ids=" ".join,
)
def test_what_is_wrong_is_refused_in_one_line_before_anything_is_made(
    words: List[str], expected: str, tmp_path: Path
) -> None:
    status, said = refusal(words, tmp_path)
    assert (status, len(said)) == (2, 1)
    assert said[0].startswith(expected)
    assert list(tmp_path.iterdir()) == []


def test_help_has_examples(tmp_path: Path) -> None:
    done = subprocess.run([str(ROOT / "scripts" / "evaluate"), "--help"], stdout=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == 0
    assert "scripts/evaluate first second" in done.stdout


class TestWhere:
    def choose(self, *words: str, docker: Optional[str], monkeypatch: pytest.MonkeyPatch) -> str:
        monkeypatch.setattr(engine, "why_not", lambda: docker)
        options = evaluating.parse(words)
        return models.choose(options.engine, options.store, evaluating.places(options), "evaluating")

    @pytest.fixture
    def runs(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DirectoryStore:
        monkeypatch.setenv("STORE", str(tmp_path / "runs"))
        return DirectoryStore(tmp_path / "runs")

    def test_a_job_is_evaluated_where_it_was_trained(
        self, runs: DirectoryStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        make(runs, "first", ModelArtifacts={})
        assert self.choose("first", docker=None, monkeypatch=monkeypatch) == "process"
        assert self.choose(docker=None, monkeypatch=monkeypatch) == "process"
        assert self.choose("first", "--engine", "docker", docker=None, monkeypatch=monkeypatch) == "docker"

    def test_a_file_is_evaluated_in_docker_where_there_is_one(
        self, runs: DirectoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert self.choose(str(tmp_path), docker=None, monkeypatch=monkeypatch) == "docker"
        assert self.choose(str(tmp_path), docker="none here", monkeypatch=monkeypatch) == "process"
        folder = ("--store", str(tmp_path))
        assert self.choose(str(tmp_path), *folder, docker=None, monkeypatch=monkeypatch) == "process"

    def test_without_any_job_docker_may_know_one(self, runs: DirectoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
        assert self.choose(docker=None, monkeypatch=monkeypatch) == "docker"

    def test_what_cannot_be_is_refused(self, runs: DirectoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(UserError, match=r"nope: no such job in .*MinIO is not up"):
            self.choose("nope", docker=None, monkeypatch=monkeypatch)
        with pytest.raises(UserError, match="--engine docker: --store here is a directory"):
            self.choose("--engine", "docker", "--store", "here", docker=None, monkeypatch=monkeypatch)


def test_the_container_sees_the_files_that_are_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, source = tmp_path / "model.tar.gz", tmp_path / "mine"
    model.write_bytes(b"")
    source.mkdir()
    words = [str(model), "a-job", "s3://bucket/job", "seed=1", "--episodes", "5", "--source", str(source)]
    options = evaluating.parse([*words, "--restore"])
    assert evaluating.mounts(options) == [str(model), str(source)]
    assert evaluating.job_words(options, engine.mounted) == [
        "/mnt/model.tar.gz",
        "a-job",
        "s3://bucket/job",
        "seed=1",
        "evaluate_episodes=5",
        "restore=true",
        "--source",
        "/mnt/mine",
    ]
