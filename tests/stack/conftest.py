"""The real MinIO server, in Docker."""

from __future__ import annotations

import os
import socket
import subprocess
import urllib.request
import uuid
from typing import Dict, Iterator, List

import pytest

from tests.waiting import until

S3_IMAGE = os.environ.get("S3_IMAGE") or "quay.io/minio/minio:RELEASE.2025-09-07T16-13-09Z"


def docker(*words: str) -> str:
    """Runs one docker command and returns what it printed; fails with that where the command failed."""
    done = subprocess.run(["docker", *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120)
    assert done.returncode == 0, f"docker {' '.join(words)}: {done.stdout}"
    return done.stdout


def pause(container: str) -> None:
    """Pauses a container; runc gives up now and then where processes start meanwhile, and is asked again."""
    until(lambda: docker("pause", container))


class Minio:
    """A server on a free port of 127.0.0.1; what it holds survives stop() and start()."""

    def __init__(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.endpoint = f"http://127.0.0.1:{free.getsockname()[1]}"
        self.name = f"test-minio-{uuid.uuid4().hex[:8]}"
        self.environ: Dict[str, str] = {
            "AWS_ACCESS_KEY_ID": "access-of-the-tests",
            "AWS_SECRET_ACCESS_KEY": "secret-of-the-tests",
            "AWS_ENDPOINT_URL_S3": self.endpoint,
        }

    def run(self) -> None:
        keys = ("AWS_ACCESS_KEY_ID", "MINIO_ROOT_USER"), ("AWS_SECRET_ACCESS_KEY", "MINIO_ROOT_PASSWORD")
        options = [word for ours, theirs in keys for word in ("-e", f"{theirs}={self.environ[ours]}")]
        address = self.endpoint.partition("//")[2]
        words = ["--name", self.name, "-p", f"{address}:9000", *options, *self.options()]
        docker("run", "-d", *words, S3_IMAGE, "server", "/data")
        until(self._answers, 60)

    def options(self) -> List[str]:
        """What its container is given besides."""
        return []

    def stop(self) -> None:
        docker("stop", "-t", "10", self.name)

    def start(self) -> None:
        """Starts it until it answers: now and then, where little time is between, one that was started ends at once."""
        until(lambda: docker("start", self.name) and self._answers(), 60)

    def remove(self) -> None:
        docker("rm", "-f", "-v", self.name)

    def _answers(self) -> bool:
        with urllib.request.urlopen(f"{self.endpoint}/minio/health/ready", timeout=2) as answer:
            return bool(answer.status == 200)


@pytest.fixture(scope="session")
def minio() -> Iterator[Minio]:
    server = Minio()
    try:
        server.run()
        yield server
    finally:
        server.remove()


@pytest.fixture
def url() -> str:
    """The URL of a bucket that is not there yet."""
    return f"s3://test-{uuid.uuid4().hex}"
