"""Wrong inputs that take a Docker engine to be met; the others are in ``tests/app/test_refusals.py``."""

from __future__ import annotations

import os
import socket
import subprocess
import uuid
from typing import Dict, Iterator

import pytest

from scripts.lib.environments import ROOT
from tests.stack.conftest import docker


@pytest.fixture
def taken() -> Iterator[Dict[str, str]]:
    """The settings of a compose project whose store's port is another's."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        project = f"rllib-test-{uuid.uuid4().hex[:8]}"
        yield {**os.environ, "COMPOSE_PROJECT_NAME": project, "S3_PORT": str(other.getsockname()[1])}
        subprocess.run(
            ["docker", "compose", "down", "--volumes"],
            cwd=ROOT,
            env={**os.environ, "COMPOSE_PROJECT_NAME": project},
            check=True,
        )
        assert project not in docker("ps", "--all", "--format", "{{.Names}}")


def run(settings: Dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words,
        cwd=ROOT,
        env=settings,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.parametrize("script", ["train", "evaluate"])
def test_a_taken_port_is_one_line_and_nothing_is_built_or_started(script: str, taken: Dict[str, str]) -> None:
    ran = run(taken, str(ROOT / "scripts" / script), "--engine", "docker")
    assert ran.returncode == 2, ran.stdout
    assert ran.stdout == f"S3_PORT = {taken['S3_PORT']}: something else listens there; give a free one\n"
    assert taken["COMPOSE_PROJECT_NAME"] not in docker("ps", "--all", "--format", "{{.Names}}")


def test_compose_says_so_too_and_fails(taken: Dict[str, str]) -> None:
    ran = run(taken, "docker", "compose", "up", "minio")
    assert ran.returncode != 0
    assert any(word in ran.stdout for word in ("already in use", "already allocated")), ran.stdout
