"""`scripts/fetch`, `scripts/jobs`, `scripts/plot` with the real MinIO server, as the compose store and as s3://."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, Dict, List

import pytest

from rl_app.storage.directory import DirectoryStore
from rl_app.storage.opening import open_store
from scripts.lib import environments
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
    words = ("of-compose", "--print", "--store", "compose", "--into", "runs")
    status, printed, said = script("report", *words, cwd=tmp_path, environ=compose)
    assert (status, printed) == (0, "runs/of-compose/output/data/report.html\n"), said
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
    for words in (["fetch", "both"], ["evaluate", "both"], ["serve", "both"], ["train", "--resume", "both"]):
        status, printed, said = script(*words, cwd=clone, environ=compose, root=clone)
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
    shutil.copytree(ours / "scripts", clone / "scripts", symlinks=True)
    for name in ("rl_app", "docker", ".tools"):
        (clone / name).symlink_to(ours / name)
    return clone


def test_wrong_keys_are_said_and_the_store_left_out(compose: Dict[str, str], tmp_path: Path) -> None:
    wrong = {**compose, "S3_SECRET_KEY": "not-the-secret"}
    status, _, said = script("jobs", cwd=tmp_path, environ=wrong)
    assert status == 0
    assert "compose store left out: " in said[0] and "refused the credentials" in said[0]
    status, printed, said = script("jobs", "--store", "compose", cwd=tmp_path, environ=wrong)
    assert (status, printed, len(said)) == (2, "", 1)
    assert "not-the-secret" not in said[0]


def test_a_job_is_removed_from_minio_and_from_a_bucket_and_nothing_else_is(
    minio: Minio, url: str, compose: Dict[str, str], tmp_path: Path
) -> None:
    store = open_store(url, minio.environ)
    for name in ("first", "second", "first-2"):
        make(store, name)
    make(store, "of-sagemaker", "InProgress")
    store.delete("of-sagemaker/job.json")
    kept = {entry.key for entry in store.list("") if not entry.key.startswith(("first/", "second/"))}
    words = ("--rm", "first", "--store", "compose", "--yes")
    status, _, said = script("jobs", *words, cwd=tmp_path, environ=compose)
    assert (status, said[-1]) == (0, "removed first")
    assert said[-2].startswith(f"first  Completed  {url}/first: 7 files, "), said
    words = ("--rm", "second", "--store", url, "--yes")
    status, _, said = script("jobs", *words, cwd=tmp_path, environ=minio.environ)
    assert status == 0, said
    assert {entry.key for entry in store.list("")} == kept
    words = ("--rm", "of-sagemaker", "--store", url, "--yes")
    status, _, said = script("jobs", *words, cwd=tmp_path, environ=minio.environ)
    assert status == 2 and "tells whether it has ended; --cloud asks SageMaker" in said[-1]


def test_a_persons_proxy_is_not_asked_for_what_is_on_this_machine(
    minio: Minio, url: str, compose: Dict[str, str], tmp_path: Path
) -> None:
    make(open_store(url, minio.environ), "first")
    nowhere = dict.fromkeys(("HTTP_PROXY", "http_proxy", "HTTPS_PROXY"), "http://127.0.0.1:9")
    environ = {**compose, **nowhere, "NO_PROXY": "", "no_proxy": ""}
    status, printed, said = script("jobs", "--store", "compose", "--json", cwd=tmp_path, environ=environ)
    assert status == 0, said
    assert [row["name"] for row in json.loads(printed)] == ["first"]


def test_a_tab_knows_the_jobs_of_minio(minio: Minio, url: str, compose: Dict[str, str], tmp_path: Path) -> None:
    store = open_store(url, minio.environ)
    for name in ("first", "second"):
        make(store, name)
    line, answers = "scripts/watch ", tmp_path / "answers"
    asked = {"_ARGCOMPLETE": "1", "_ARGCOMPLETE_IFS": "\n", "COMP_LINE": line, "COMP_POINT": str(len(line))}
    asked["_ARGCOMPLETE_STDOUT_FILENAME"] = str(answers)
    python = environments.interpreter(environments.environment_of(environments.ROOT, [environments.HOST]))
    script = environments.ROOT / "scripts" / "completion"
    subprocess.run(
        [str(python), str(script)], env={**os.environ, **compose, **asked}, stderr=subprocess.DEVNULL, check=True
    )
    assert answers.read_text().splitlines()[:2] == ["first", "second"]
