"""What of a store in MinIO is whole when its answers get lost, its credentials change, or its bucket goes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Dict, Iterator, List

import pytest

from rl_app.errors import JobError
from rl_app.storage.base import Store
from rl_app.storage.mirror import Mirror
from rl_app.storage.opening import open_store
from tests.stack.conftest import Minio
from tests.stack.proxy import Proxy, proxied
from tests.store_contract import contents, keys
from tests.waiting import until


@pytest.fixture
def proxy(minio: Minio) -> Iterator[Proxy]:
    with proxied(minio.endpoint) as proxy:
        yield proxy


@pytest.fixture
def behind(minio: Minio, url: str, proxy: Proxy) -> Store:
    """The store, as it is found behind the proxy."""
    return open_store(url, {**minio.environ, "AWS_ENDPOINT_URL_S3": proxy.url})


def admin(minio: Minio) -> Any:
    import boto3

    return boto3.client(
        "s3",
        endpoint_url=minio.endpoint,
        aws_access_key_id=minio.environ["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=minio.environ["AWS_SECRET_ACCESS_KEY"],
        region_name="us-east-1",
    )


def test_a_claim_whose_answer_is_lost_is_the_claimers(behind: Store, proxy: Proxy) -> None:
    proxy.losing = 1
    assert behind.create("job/job.json", b"mine")
    assert proxy.losing == 0
    assert not behind.create("job/job.json", b"another's")
    assert behind.read("job/job.json") == b"mine"


@pytest.mark.parametrize("size", [0, 1 << 20])
def test_an_upload_whose_answer_is_lost_is_whole(behind: Store, proxy: Proxy, tmp_path: Path, size: int) -> None:
    content = os.urandom(size)
    (tmp_path / "file").write_bytes(content)
    proxy.losing = 2
    behind.upload(tmp_path / "file", "job/file")
    assert (proxy.losing, behind.read("job/file")) == (0, content)


def test_a_download_that_breaks_off_goes_on(behind: Store, proxy: Proxy, tmp_path: Path) -> None:
    content = os.urandom(20 << 20)
    behind.write("job/file", content)
    proxy.losing, proxy.passing = 3, 5 << 20
    parts: List[int] = []
    behind.download("job/file", tmp_path / "file", parts.append)
    assert (tmp_path / "file").read_bytes() == content
    assert (proxy.losing, sum(parts)) == (0, len(content))
    assert min(parts) > 0


def test_a_server_that_closes_every_connection_is_a_store_that_fails(behind: Store, proxy: Proxy) -> None:
    behind.write("job/job.json", b"before")
    proxy.refusing = True
    with pytest.raises(JobError, match=r"^store s3://.*: job/job.json: Remote end closed connection .*$"):
        behind.write("job/job.json", b"after")
    proxy.refusing = False
    assert behind.read("job/job.json") == b"before"


def test_mirror_brings_all_again_where_the_bucket_was_gone(
    minio: Minio, behind: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bucket, client = behind.url[5:], admin(minio)
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)
    mirror = Mirror(tmp_path, behind, "job", interval=0.05)
    mirror.start()
    until(lambda: keys(behind) == ["job/a", "job/b"])
    for key in keys(behind):
        client.delete_object(Bucket=bucket, Key=key)
    client.delete_bucket(Bucket=bucket)
    (tmp_path / "c").write_text("c")
    until(lambda: caplog.records)
    assert "The specified bucket does not exist; trying again" in caplog.text
    client.create_bucket(Bucket=bucket)
    mirror.stop(30)
    assert {key: behind.read(key) for key in keys(behind)} == {
        f"job/{name}": content for name, content in contents(tmp_path).items()
    }


def test_mirror_goes_on_with_credentials_that_were_rotated(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared, live, server = tmp_path / "credentials", tmp_path / "live", Minio()
    live.mkdir()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(shared))
    write_credentials(shared, server.environ)
    try:
        server.run()
        store = open_store(url, {"AWS_ENDPOINT_URL_S3": server.endpoint})
        mirror = Mirror(live, store, "job", interval=0.05)
        mirror.start()
        (live / "a").write_text("a")
        until(lambda: keys(store) == ["job/a"])
        server.remove()
        server.environ.update(AWS_ACCESS_KEY_ID="another-access-key", AWS_SECRET_ACCESS_KEY="another-secret-key")
        server.run()
        write_credentials(shared, server.environ)
        admin(server).create_bucket(Bucket=url[5:])
        (live / "b").write_text("b")
        mirror.stop(30)
        assert keys(store) == ["job/a", "job/b"]
    finally:
        server.remove()


def write_credentials(file: Path, environ: Dict[str, str]) -> None:
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    file.write_text("\n".join(["[default]", *(f"{name.lower()} = {environ[name]}" for name in names)]))
