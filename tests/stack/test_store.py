"""The S3 store against the real MinIO server."""

from __future__ import annotations

import os
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Dict, List

import pytest

from rl_app.errors import JobError, UserError
from rl_app.storage.base import Store
from rl_app.storage.mirror import Mirror, restore
from rl_app.storage.opening import open_store
from tests.stack.conftest import Minio
from tests.store_contract import StoreContract, contents, keys
from tests.waiting import until


@pytest.fixture
def store(minio: Minio, url: str) -> Store:
    return open_store(url, minio.environ)


class TestS3Store(StoreContract):
    pass


def test_a_prefix_keeps_to_itself(minio: Minio, url: str, tmp_path: Path) -> None:
    bucket, team = open_store(url, minio.environ), open_store(f"{url}/team/of mine/", minio.environ)
    assert team.url == f"{url}/team/of mine"
    for key in ("job/job.json", "team/of mine too/job/job.json"):
        bucket.write(key, b"another's")
    assert team.create("job/job.json", b"ours")
    assert keys(bucket) == ["job/job.json", "team/of mine too/job/job.json", "team/of mine/job/job.json"]
    assert keys(team) == keys(team, "job") == ["job/job.json"]
    restore(team, "job", tmp_path)
    assert contents(tmp_path) == {"job.json": b"ours"}
    team.delete("job/job.json")
    assert keys(bucket) == ["job/job.json", "team/of mine too/job/job.json"]


def test_an_empty_file_does_not_hold_up_the_next(store: Store, tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "full").write_bytes(b"full")
    began = time.monotonic()
    for _ in range(2):
        store.upload(tmp_path / "empty", "job/empty")
        store.upload(tmp_path / "full", "job/full")
    assert (store.read("job/empty"), store.read("job/full")) == (b"", b"full")
    assert time.monotonic() - began < 20  # it was 30 s for each


def test_a_missing_bucket_is_made_by_all_who_want_it_at_once(minio: Minio, url: str) -> None:
    opened: List[Store] = []
    start = threading.Barrier(4)

    def job() -> None:
        start.wait(10)
        opened.append(open_store(url, minio.environ))

    threads = [threading.Thread(target=job) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(opened) == 4
    opened[0].write("a", b"1")
    assert opened[1].read("a") == b"1"


def test_the_endpoint_of_sagemaker_training_counts_too(minio: Minio, url: str) -> None:
    environ = {**minio.environ, "AWS_ENDPOINT_URL_S3": "", "S3_ENDPOINT_URL": minio.endpoint}
    open_store(url, environ).write("a", b"1")
    assert open_store(url, minio.environ).read("a") == b"1"


def test_lists_more_than_one_page(store: Store) -> None:
    names = [f"job/{number:04d}" for number in range(1001)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: store.write(name, b""), names))
    assert keys(store, "job") == names


@pytest.mark.parametrize("wrong", [{"AWS_SECRET_ACCESS_KEY": "a-wrong-secret"}, {"AWS_ACCESS_KEY_ID": "nobody-known"}])
def test_wrong_credentials_are_refused_and_never_shown(minio: Minio, url: str, wrong: Dict[str, str]) -> None:
    with pytest.raises(UserError, match=f"store {url}: {minio.endpoint} refused the credentials") as refused:
        open_store(url, {**minio.environ, **wrong})
    shown = str(refused.value)
    assert "\n" not in shown
    assert not any(secret in shown for secret in (*wrong.values(), minio.environ["AWS_SECRET_ACCESS_KEY"]))


def test_missing_credentials_are_named(minio: Minio, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(UserError, match=f"store {url}: no credentials; set AWS_ACCESS_KEY_ID and"):
        open_store(url, {"AWS_ENDPOINT_URL_S3": minio.endpoint})


def test_an_unreachable_endpoint_is_named_with_the_cause(minio: Minio, url: str) -> None:
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        where = f"127.0.0.1:{unheard.getsockname()[1]}"
        endpoint = f"http://someone:password@{where}"
        with pytest.raises(UserError) as refused:
            open_store(url, {**minio.environ, "AWS_ENDPOINT_URL_S3": endpoint})
    assert str(refused.value) == f"store {url}: cannot reach http://{where}: [Errno 111] Connection refused"


@pytest.mark.parametrize("endpoint", ["nonsense", "http://", "http://name.invalid:9000"])
def test_a_wrong_endpoint_is_named(minio: Minio, url: str, endpoint: str) -> None:
    with pytest.raises(UserError, match=f"store {url}: cannot reach ") as refused:
        open_store(url, {**minio.environ, "AWS_ENDPOINT_URL_S3": endpoint})
    assert "\n" not in str(refused.value)


def test_a_bucket_that_vanished_is_told_with_key_and_cause(minio: Minio, store: Store, tmp_path: Path) -> None:
    import boto3

    boto3.client(
        "s3",
        endpoint_url=minio.endpoint,
        aws_access_key_id=minio.environ["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=minio.environ["AWS_SECRET_ACCESS_KEY"],
        region_name="us-east-1",
    ).delete_bucket(Bucket=store.url[5:])
    (tmp_path / "a").touch()
    for operation in (lambda: store.write("job/a", b""), lambda: store.upload(tmp_path / "a", "job/a")):
        with pytest.raises(JobError, match=rf"store {store.url}: job/a: .*NoSuchBucket"):
            operation()


def test_mirror_brings_all_after_the_server_was_away(
    minio: Minio, store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    mirror = Mirror(tmp_path, store, "job/checkpoints", delete=True, interval=0.1)
    mirror.start()
    (tmp_path / "before").write_bytes(b"1")
    (tmp_path / "pruned").write_bytes(b"1")
    until(lambda: len(keys(store, "job/checkpoints")) == 2)
    minio.stop()
    try:
        (tmp_path / "before").write_bytes(b"changed")
        (tmp_path / "meanwhile").write_bytes(b"2")
        (tmp_path / "pruned").unlink()
        until(lambda: caplog.records, 30)
    finally:
        minio.start()
    (tmp_path / "after").write_bytes(b"3")
    mirror.stop(60)
    brought = {entry.key: store.read(entry.key) for entry in store.list("job")}
    assert brought == {f"job/checkpoints/{name}": content for name, content in contents(tmp_path).items()}
    assert [record.getMessage().rpartition("; ")[2] for record in caplog.records] == [
        "trying again",
        f"store {store.url}: job/checkpoints is up to date again",
    ]


def test_mirror_names_what_a_server_that_stays_away_lacks(minio: Minio, store: Store, tmp_path: Path) -> None:
    mirror = Mirror(tmp_path, store, "job", interval=0.1)
    mirror.start()
    minio.stop()
    try:
        (tmp_path / "lost").write_bytes(b"1")
        with pytest.raises(JobError, match="job lacks lost: "):
            mirror.stop(4)
    finally:
        minio.start()
