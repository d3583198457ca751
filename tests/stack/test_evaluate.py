"""Models of a bucket evaluated, with the real MinIO server."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any, Dict, List, Tuple

import gym
import pytest
from gym import spaces

from rl_app.storage.base import Store
from rl_app.storage.directory import DirectoryStore
from rl_app.storage.opening import open_store
from tests.app.made_models import write_model
from tests.stack.conftest import Minio

ROOT = Path(__file__).parents[2]


@pytest.fixture
def store(minio: Minio, url: str, tmp_path: Path) -> Store:
    """A bucket with a job, as a local job leaves it."""
    observations = gym.make("CartPole-v1").observation_space
    model = write_model(tmp_path / "model", observations, spaces.Discrete(2), env="CartPole-v1", env_config={})
    with tarfile.open(str(tmp_path / "model.tar.gz"), "w:gz") as tar:
        for path in model.iterdir():
            tar.add(str(path), path.name)
    made = open_store(url, minio.environ)
    made.upload(tmp_path / "model.tar.gz", "first/output/model.tar.gz")
    for path in model.iterdir():
        made.upload(path, f"elsewhere/checkpoint/{path.name}")
    record = {
        "TrainingJobName": "first",
        "TrainingJobStatus": "Completed",
        "CreationTime": "2026-01-01T00:00:00+00:00",
        "HyperParameters": {},
        "ModelArtifacts": {"S3ModelArtifacts": f"{url}/first/output/model.tar.gz"},
    }
    made.write("first/job.json", json.dumps(record).encode())
    return made


def evaluate(minio: Minio, store: Store, *words: str) -> Tuple[int, List[str]]:
    done = subprocess.run(
        [sys.executable, "-m", "rl_app", "local", "evaluate", *words, "--episodes", "3", "videos=0"],
        cwd=str(ROOT),
        env={**os.environ, **minio.environ, "STORE": store.url},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        universal_newlines=True,
        timeout=120,
    )
    return done.returncode, done.stderr.splitlines()


def episodes(store: Store, job: str) -> Any:
    with tarfile.open(fileobj=io.BytesIO(store.read(f"{job}/output/output.tar.gz"))) as tar:
        found: Dict[str, Any] = json.loads((tar.extractfile("evaluation.json") or io.BytesIO()).read())
    return found["models"][0]["episodes"]


def test_a_model_is_found_by_every_name_that_it_has(minio: Minio, store: Store) -> None:
    places = {
        "newest": [],
        "by-name": ["first"],
        "by-url": [f"{store.url}/first/output/model.tar.gz"],
        "by-folder": [f"{store.url}/first"],
        "by-files": [f"{store.url}/elsewhere/checkpoint/"],
    }
    for name, words in places.items():
        status, said = evaluate(minio, store, *words, "--job", name)
        assert status == 0, said
        record = json.loads(store.read(f"{name}/job.json"))
        assert record["TrainingJobStatus"] == "Completed"
        (channel,) = record["InputDataConfig"]
        assert channel["DataSource"]["S3DataSource"]["S3Uri"].startswith(store.url)
    assert all(episodes(store, name) == episodes(store, "newest") for name in places)


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("frist", "did you mean first?"),
        ("{url}/first/output/none.tar.gz", "none.tar.gz: there is no such file"),
        ("{url}/nothing", "nothing: neither output/model.tar.gz, model.tar.gz, policy.json nor checkpoint is in it"),
        ("s3://no-such-bucket-here/first", "has no such bucket"),
    ],
)
def test_what_is_not_there_is_refused_and_leaves_nothing(place: str, expected: str, minio: Minio, store: Store) -> None:
    status, said = evaluate(minio, store, place.format(url=store.url))
    assert (status, len(said)) == (2, 1), said
    assert expected in said[0]
    assert store.folders() == ["elsewhere", "first"]


def test_jobs_of_a_directory_and_of_minio_are_compared(minio: Minio, store: Store, tmp_path: Path) -> None:
    """As scripts/evaluate finds them: one in the directory of the process mode, one in the MinIO of compose."""
    runs = DirectoryStore(tmp_path / "runs")
    for key in ("output/model.tar.gz", "job.json"):
        runs.write(f"second/{key}", store.read(f"first/{key}").replace(b'"first"', b'"second"'))
        open_store("s3://rllib", minio.environ).write(f"first/{key}", store.read(f"first/{key}"))
    settings = {
        "S3_PORT": minio.endpoint.rpartition(":")[2],
        "S3_ACCESS_KEY": minio.environ["AWS_ACCESS_KEY_ID"],
        "S3_SECRET_KEY": minio.environ["AWS_SECRET_ACCESS_KEY"],
    }

    def typed(script: str, *words: str, **environ: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [str(ROOT / "scripts" / script), *words],
            cwd=str(tmp_path),
            env={**os.environ, **settings, **environ},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
        )

    where = {"STORE": str(runs.root)}
    few = ["--engine", "process", "--episodes", "3", "videos=0"]
    compared = typed("evaluate", "second", "first", *few, "--job", "both", **where)
    assert compared.returncode == 0, compared.stderr
    assert "first - second" in compared.stdout
    fetched = typed("fetch", "first", "--store", "compose", "--into", str(tmp_path / "copies"), **where)
    assert fetched.returncode == 0, fetched.stderr
    from_files = typed("evaluate", "second", "copies/first", *few, "--job", "files", **where)
    assert from_files.returncode == 0, from_files.stderr
    assert episodes(runs, "files") == episodes(runs, "both")


@pytest.mark.parametrize("script", ["serve", "evaluate"])
def test_a_job_without_a_model_is_refused_before_an_image_is_built(script: str, minio: Minio, tmp_path: Path) -> None:
    failed = {"TrainingJobName": "no-model", "TrainingJobStatus": "Failed", "HyperParameters": {}}
    open_store("s3://rllib", minio.environ).write("no-model/job.json", json.dumps(failed).encode())
    done = subprocess.run(
        [str(ROOT / "scripts" / script), "no-model", "--engine", "docker"],
        env={
            **os.environ,
            "STORE": str(tmp_path / "runs"),
            "S3_PORT": minio.endpoint.rpartition(":")[2],
            "S3_ACCESS_KEY": minio.environ["AWS_ACCESS_KEY_ID"],
            "S3_SECRET_KEY": minio.environ["AWS_SECRET_ACCESS_KEY"],
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 2
    assert done.stderr.splitlines() == ["no-model: a job of compose, Failed, and has no model"]
