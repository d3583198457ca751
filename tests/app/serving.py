"""A server process over a model on loopback, and what a client says to it."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO, Any, Dict, List, NamedTuple, Optional, Sequence

import pytest

from tests.waiting import until

REPOSITORY = Path(__file__).parents[2]
JSON = "application/json"
SERVE = ("-m", "rl_app", "serve")


class Said(NamedTuple):
    """An answer."""

    status: int
    headers: Dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Served:
    """``python -m rl_app serve`` over a model, or another ``program``, in a ``directory``; use it as a context.

    It answers in one process, whose memory and connections a test can look at, where ``environment`` does not say more.
    """

    def __init__(
        self,
        model: Path,
        program: Sequence[str] = SERVE,
        stdout: Optional[int] = None,
        directory: Path = REPOSITORY,
        **environment: str,
    ) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self._stdout, self._stderr = (tempfile.TemporaryFile("w+") for _ in range(2))  # noqa: SIM115
        self.process = subprocess.Popen(
            [sys.executable, *program, str(model), "--port", str(self.port)],
            cwd=str(directory),
            env={**os.environ, "SERVE_WORKERS": "1", **environment},
            stdout=self._stdout if stdout is None else stdout,
            stderr=self._stderr,
        )
        self.stdout = self.stderr = ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Served:
        try:
            until(lambda: self.process.poll() is not None or self.answers(), 60)
            assert self.process.poll() is None
        except AssertionError:
            self.stop(signal.SIGKILL)
            raise AssertionError(f"the server did not come up:\n{self.stderr}") from None
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.returncode is None:
            self.stop()

    def answers(self) -> bool:
        try:
            return self.get("/ping").status == 200
        except OSError:
            return False

    def stop(self, number: int = signal.SIGTERM, deadline_s: float = 30.0) -> int:
        """Sends a signal, and returns the exit status."""
        self.process.send_signal(number)
        self.process.wait(deadline_s)
        self.stdout, self.stderr = read(self._stdout), read(self._stderr)
        return self.process.returncode

    def log(self) -> List[Dict[str, Any]]:
        """The lines of the access log, once the server has stopped."""
        return [json.loads(line) for line in self.stdout.splitlines()]

    def get(self, path: str) -> Said:
        return self.ask("GET", path)

    def post(self, body: Any, kind: Optional[str] = JSON, accept: Optional[str] = None, **headers: str) -> Said:
        """Asks for actions; what is no bytes is sent as JSON."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        given = {"Content-Type": kind, "Accept": accept, **headers}
        return self.ask("POST", "/invocations", content, {key: value for key, value in given.items() if value})

    def ask(
        self, method: str, path: str, body: Optional[bytes] = None, headers: Optional[Dict[str, str]] = None
    ) -> Said:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return Said(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)


def read(file: IO[str]) -> str:
    """The whole of a file that was written by another process, which is closed."""
    with file:
        file.seek(0)
        return file.read()


def head(length: int, kind: str = JSON, path: str = "/invocations") -> bytes:
    """The line and headers of a request by hand."""
    return f"POST {path} HTTP/1.1\r\nHost: here\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n".encode()


def until_sent(connection: socket.socket, part: bytes) -> bytes:
    """What comes up to where ``part`` is in it: one read may give less."""
    came = b""
    while part not in came:
        piece = connection.recv(65536)
        assert piece, came
        came += piece
    return came


def answer_on(connection: socket.socket) -> bytes:
    """One answer, whole, on a connection that goes on."""
    came = until_sent(connection, b"\r\n\r\n")
    before, _, body = came.partition(b"\r\n\r\n")
    length = int(before.lower().partition(b"content-length: ")[2].split()[0])
    while len(body) < length:
        body += connection.recv(length - len(body)) or pytest.fail(f"it ended after {body!r}")
    return before + b"\r\n\r\n" + body


def everything(connection: socket.socket) -> bytes:
    """What comes until the other side closes."""
    pieces = []
    while True:
        try:
            piece = connection.recv(65536)
        except ConnectionResetError:
            break
        if not piece:
            break
        pieces.append(piece)
    return b"".join(pieces)
