"""`scripts/serve`: what it refuses on the spot, and what it passes on."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path
from typing import Any, List

import pytest

from scripts.commands import serve
from scripts.lib import engine
from scripts.lib.environments import ROOT


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MODEL", "STORE", "SERVE_PORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("S3_PORT", "1")  # where nothing listens


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["none/model.tar.gz"], "none/model.tar.gz: there is no such file or directory"),
        (["first", "--port", "80800"], "--port 80800: must be 0 to 65535"),
        (["first", "--port", "²"], "--port ²: must be 0 to 65535"),
        (["first", "--port", "http"], "--port http: must be 0 to 65535"),
        (["--engine", "docker", "--store", "here"], "--engine docker: --store here is a directory of this machine"),
        (["nope"], "nope: no such job in "),
    ],
    ids=" ".join,
)
def test_what_is_wrong_is_refused_in_one_line(words: List[str], expected: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [str(ROOT / "scripts" / "serve"), *words],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1), done.stderr
    assert done.stderr.startswith(expected)
    assert list(tmp_path.iterdir()) == []


def test_in_docker_the_port_is_published_on_loopback_and_the_model_is_mounted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: List[Any] = []
    monkeypatch.setattr(engine, "why_not", lambda: None)
    monkeypatch.setattr(engine, "run_service", lambda *given: ran.append(given) or 0)
    model = tmp_path / "model.tar.gz"
    model.write_bytes(b"")
    assert serve.main([str(model), "--port", "8099"]) == 0
    words = ["serve", "/mnt/model.tar.gz", "--address", "http://127.0.0.1:8099/"]
    assert ran == [("serve", words, [str(model)], ["127.0.0.1:8099:8080"])]


@pytest.mark.parametrize("engine_of", ["docker", "process"])
def test_a_port_that_is_taken_is_refused_before_anything_is_built(engine_of: str, tmp_path: Path) -> None:
    model = tmp_path / "model.tar.gz"
    model.write_bytes(b"")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            [str(ROOT / "scripts" / "serve"), str(model), "--port", port, "--engine", engine_of],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
        )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"--port {port}: something else listens there; give a free one\n"
