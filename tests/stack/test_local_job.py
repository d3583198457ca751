"""A local job with the real MinIO server for its store."""

from __future__ import annotations

import io
import json
import os
import tarfile
import tempfile
import threading
from pathlib import Path
from typing import Dict, List

import pytest

from rl_app.local import catching_up, job
from rl_app.storage.opening import open_store
from tests.container import TRAIN, container
from tests.stack.conftest import Minio
from tests.store_contract import keys
from tests.waiting import until


@pytest.fixture(autouse=True)
def temporary_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def run(minio: Minio, url: str, code: str, *argv: str, environ: Dict[str, str], grace: float = 60) -> int:
    environ = {"PATH": os.environ["PATH"], **minio.environ, "STORE": url, **environ}
    return job.main(["train", *argv], container(code), environ, grace=grace)


def test_a_job_in_a_bucket_stops_and_goes_on(minio: Minio, url: str, temporary_files: Path) -> None:
    fail = TRAIN + "put('output/failure', 'it broke'); sys.exit(1)"
    assert run(minio, url, fail, "--job", "job", environ={}) == 1
    go_on = "assert (base / 'checkpoints/checkpoint_1/checkpoint-1').read_text() == 'weights'" + TRAIN
    assert run(minio, url, go_on, "--resume", "job", environ={}) == 0
    store = open_store(url, minio.environ)
    assert keys(store) == [
        "job/checkpoints/checkpoint_1/checkpoint-1",
        "job/job.json",
        "job/output/model.tar.gz",
        "job/output/output.tar.gz",
    ]
    record = json.loads(store.read("job/job.json"))
    assert record["TrainingJobStatus"] == "Completed"
    assert record["ModelArtifacts"] == {"S3ModelArtifacts": f"{url}/job/output/model.tar.gz"}
    with tarfile.open(fileobj=io.BytesIO(store.read("job/output/model.tar.gz"))) as model:
        assert model.getnames() == ["1", "1/saved_model.pb", "policy.onnx"]
    assert run(minio, url, "", "--job", "job", environ={}) == 2
    assert list(temporary_files.iterdir()) == []


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"AWS_SECRET_ACCESS_KEY": "wrong-secret"}, "refused the credentials"),
        ({"AWS_ENDPOINT_URL_S3": "http://127.0.0.1:1"}, "cannot reach http://127.0.0.1:1: [Errno 111]"),
    ],
)
def test_a_store_that_does_not_answer_is_refused(
    minio: Minio,
    url: str,
    capfd: pytest.CaptureFixture[str],
    temporary_files: Path,
    environ: Dict[str, str],
    said: str,
) -> None:
    assert run(minio, url, TRAIN, "--job", "job", environ=environ) == 2
    lines: List[str] = capfd.readouterr().err.splitlines()
    assert len(lines) == 1
    assert f"store {url}: " in lines[0]
    assert said in lines[0]
    assert list(temporary_files.iterdir()) == []


def test_a_job_outlives_its_store_for_a_while(minio: Minio, url: str, temporary_files: Path) -> None:
    """The server goes away under the running job, and comes back after the job has ended."""
    away = f"subprocess.run(['docker', 'stop', '{minio.name}'], check=True)\n" + TRAIN + "put('done')"

    def bring_back() -> None:
        until(lambda: list(temporary_files.glob("job-*/done")), 60)
        minio.start()

    bringer = threading.Thread(target=bring_back)
    bringer.start()
    try:
        assert run(minio, url, away, "--job", "job", environ={}) == 0
    finally:
        bringer.join()
    record = json.loads(open_store(url, minio.environ).read("job/job.json"))
    assert record["TrainingJobStatus"] == "Completed"


def test_what_a_job_could_not_bring_is_brought_once_the_store_is_back(
    minio: Minio, url: str, temporary_files: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    away = f"subprocess.run(['docker', 'stop', '{minio.name}'], check=True)\n" + TRAIN
    work = temporary_files / "runs/.work"
    environ = {"RL_WORK": str(work)}
    try:
        assert run(minio, url, away, "--job", "job", environ=environ, grace=3) == 1
    finally:
        minio.start()
    assert f"  kept   {work / 'job'}, for it holds what is not in the store\n" in capfd.readouterr().err
    assert catching_up.main(["job"], {**minio.environ, "STORE": url, **environ}, 60) == 0
    store = open_store(url, minio.environ)
    record = json.loads(store.read("job/job.json"))
    assert (record["TrainingJobStatus"], "FailureReason" in record) == ("Completed", False)
    assert {"job/output/model.tar.gz", "job/checkpoints/checkpoint_1/checkpoint-1"} <= set(keys(store))
    assert not work.exists()
