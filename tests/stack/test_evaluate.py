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

from rl_app.store import Store, open_store
from tests.app.made_models import write_model
from tests.stack.conftest import Minio

ROOT = Path(__file__).parents[2]


@pytest.fixture
def store(minio: Minio, url: str, tmp_path: Path) -> Store:
    """A bucket with a job, as local_mode leaves it."""
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
