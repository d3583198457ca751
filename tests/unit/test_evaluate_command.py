"""`scripts/evaluate`: what it refuses on the spot, and where it evaluates."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import List, Optional

import pytest

from rl_app.errors import UserError
from rl_app.storage import artifacts
from rl_app.storage.directory import DirectoryStore
from scripts.commands import evaluate
from scripts.lib import engine, models
from scripts.lib.environments import ROOT
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
        (["first", "--source", "none"], "--source none: there is no such directory"),
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
        start = evaluate.parse(words)
        return models.choose(start.engine, start.job.store, start.job.models, "evaluating").engine

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

    def test_the_newest_job_is_one_that_has_trained_a_policy(
        self, runs: DirectoryStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        program = {"HyperParameters": {"sagemaker_program": '"mine.py"'}}
        for day, (name, more) in enumerate([("older", {}), ("newer", {}), ("program", program)], 1):
            make(runs, name, ModelArtifacts={}, CreationTime=f"2026-01-0{day}T00:00:00+00:00", **more)
        monkeypatch.setattr(engine, "why_not", lambda: None)
        assert [job.name for job in models.newest("process", ROOT)] == ["newer"]

    def test_a_file_is_evaluated_in_docker_where_there_is_one(
        self, runs: DirectoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert self.choose(str(tmp_path), docker=None, monkeypatch=monkeypatch) == "docker"
        assert self.choose(str(tmp_path), docker="none here", monkeypatch=monkeypatch) == "process"
        folder = ("--store", str(tmp_path))
        assert self.choose(str(tmp_path), *folder, docker=None, monkeypatch=monkeypatch) == "process"

    def test_a_job_of_a_directory_is_a_folder_to_a_container(
        self, runs: DirectoryStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        make(runs, "first", ModelArtifacts={})
        monkeypatch.setattr(engine, "why_not", lambda: None)
        used = models.choose("docker", None, ["first", "s3://bucket/job", "in-minio"], "evaluating")
        assert used == models.Use("docker", [str(runs.root / "first"), "s3://bucket/job", "in-minio"])

    def test_a_job_without_a_model_is_refused_here(self, runs: DirectoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
        runs.write("first/job.json", b'{"TrainingJobStatus": "Failed"}')
        with pytest.raises(UserError, match=r"first: a job of .*, Failed, and has no model"):
            self.choose("first", docker=None, monkeypatch=monkeypatch)

    def test_a_fetched_copy_has_its_model_unpacked(self, runs: DirectoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
        runs.write("first/fetched.json", b'{"TrainingJobName": "first", "TrainingJobStatus": "Completed"}')
        runs.write("first/model/policy.json", b"{}")
        assert self.choose("first", docker=None, monkeypatch=monkeypatch) == "process"
        assert artifacts.locate("first", runs).keys == ["first/model/policy.json"]
        assert artifacts.locate(str(runs.root / "first"), runs).folder == "model"

    def test_without_any_job_docker_may_know_one(self, runs: DirectoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
        assert self.choose(docker=None, monkeypatch=monkeypatch) == "docker"

    def test_what_cannot_be_is_refused(self, runs: DirectoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(UserError, match=r"nope: no such job in .*MinIO is not up"):
            self.choose("nope", docker=None, monkeypatch=monkeypatch)
        with pytest.raises(UserError, match="--engine docker: --store here is a directory"):
            self.choose("--engine", "docker", "--store", "here", docker=None, monkeypatch=monkeypatch)


def test_the_container_sees_the_files_that_are_meant(tmp_path: Path) -> None:
    model, source = tmp_path / "model.tar.gz", tmp_path / "mine"
    model.write_bytes(b"")
    source.mkdir()
    words = [str(model), "a-job", "s3://bucket/job", "seed=1", "--episodes", "5", "--source", str(source)]
    start = evaluate.parse([*words, "--restore"])
    assert start.job.mounts() == [str(model), str(source)]
    assert evaluate.job_words(start, engine.mounted)[:-2] == [
        "/mnt/model.tar.gz",
        "a-job",
        "s3://bucket/job",
        "seed=1",
        "evaluate_episodes=5",
        "restore=true",
        "--source",
        "/mnt/mine",
    ]
