"""`scripts/fetch`, `scripts/jobs`, `scripts/plot` with the real MinIO server, as the compose store and as s3://."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Dict, List

import pytest

from rl_app.store import DirectoryStore, open_store
from tests.made_jobs import make, script
from tests.stack.conftest import Minio
from tests.store_contract import contents


@pytest.fixture
def compose(minio: Minio, url: str) -> Dict[str, str]:
    """The settings of a compose store of the test's own."""
    return {
        "S3_PORT": minio.endpoint.rpartition(":")[2],
        "S3_ACCESS_KEY": minio.environ["AWS_ACCESS_KEY_ID"],
        "S3_SECRET_KEY": minio.environ["AWS_SECRET_ACCESS_KEY"],
        "STORE": url,
    }


def test_a_job_of_the_compose_store_is_found_listed_fetched_and_drawn(
    minio: Minio, url: str, compose: Dict[str, str], tmp_path: Path
) -> None:
    make(open_store(url, minio.environ), "of-compose")
    status, printed, said = script("jobs", "--json", cwd=tmp_path, environ=compose)
    assert status == 0, said
    rows: List[Dict[str, Any]] = json.loads(printed)
    assert [(row["name"], row["store"]) for row in rows if row["store"] == "compose"] == [("of-compose", "compose")]
    status, printed, said = script("fetch", "of-compose", "--into", "runs", cwd=tmp_path, environ=compose)
    assert status == 0, said
    fetched = contents(tmp_path / "runs" / "of-compose")
    assert fetched["model/policy.onnx"] == b"policy" and fetched["output/data/videos/iteration-5.mp4"] == b"mp4"
    assert os.listdir(tmp_path / "runs") == ["of-compose"]
    options = ("--store", "compose", "-o", "x.png")
    status, printed, said = script("plot", "of-compose", *options, cwd=tmp_path, environ=compose)
    assert status == 0, said
    assert "goal 95" in printed and (tmp_path / "x.png").stat().st_size > 1000


def test_a_bucket_is_read_with_awss_own_settings_and_never_made(minio: Minio, url: str, tmp_path: Path) -> None:
    status, printed, said = script("jobs", "--store", url, cwd=tmp_path, environ=minio.environ)
    assert (status, printed, len(said)) == (2, "", 1)
    assert f"{minio.endpoint} has no such bucket" in said[0]
    store = open_store(f"{url}/team", minio.environ)
    make(store, "with-record", "InProgress")
    make(store, "of-sagemaker")
    store.delete("of-sagemaker/job.json")
    store.write("other/notes.txt", b"no job")
    status, printed, said = script("jobs", "--store", f"{url}/team", "--json", cwd=tmp_path, environ=minio.environ)
    assert status == 0, said
    assert [(row["name"], row["state"]) for row in json.loads(printed)] == [
        ("with-record", "InProgress"),
        ("of-sagemaker", None),
    ]
    for name, there in (("with-record", "output/intermediate"), ("of-sagemaker", "output/data")):
        words = (name, "--store", f"{url}/team", "--into", "into")
        status, printed, said = script("fetch", *words, cwd=tmp_path, environ=minio.environ)
        assert status == 0, said
        assert (tmp_path / "into" / name / there / "report.html").exists()


def test_a_job_of_two_stores_must_be_said_which(
    minio: Minio, url: str, compose: Dict[str, str], tmp_path: Path
) -> None:
    make(open_store(url, minio.environ), "both")
    clone = a_clone(tmp_path)
    make(DirectoryStore(clone / "runs"), "both")
    status, printed, said = script("fetch", "both", cwd=clone, environ=compose, root=clone)
    assert (status, printed) == (2, "")
    assert said[-1] == "both: a job of runs and of compose; say --store runs or --store compose"
    status, printed, said = script("fetch", "both", "--store", "compose", cwd=clone, environ=compose, root=clone)
    assert status == 2 and "a job of this name was made there" in said[-1]
    status, printed, said = script("fetch", "both", "--store", "runs", cwd=clone, environ=compose, root=clone)
    assert status == 0, said


def a_clone(tmp_path: Path) -> Path:
    """The scripts in a directory of their own, with jobs of their own."""
    ours = Path(__file__).parents[2]
    clone = tmp_path / "clone"
    (clone / "scripts").mkdir(parents=True)
    for name in ("rl_app", "docker", ".tools"):
        (clone / name).symlink_to(ours / name)
    for file in (ours / "scripts").iterdir():
        if file.is_file():
            (clone / "scripts" / file.name).write_bytes(file.read_bytes())
            (clone / "scripts" / file.name).chmod(file.stat().st_mode)
    return clone


def test_wrong_keys_are_said_and_the_store_left_out(compose: Dict[str, str], tmp_path: Path) -> None:
    wrong = {**compose, "S3_SECRET_KEY": "not-the-secret"}
    status, _, said = script("jobs", cwd=tmp_path, environ=wrong)
    assert status == 0
    assert "compose store left out: " in said[0] and "refused the credentials" in said[0]
    status, printed, said = script("jobs", "--store", "compose", cwd=tmp_path, environ=wrong)
    assert (status, printed, len(said)) == (2, "", 1)
    assert "not-the-secret" not in said[0]
