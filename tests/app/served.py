"""A server in a process of its own, and clients for it: polite ones and others."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Optional, Union

from tests.waiting import until

REPOSITORY = Path(__file__).parents[2]
JSON = "application/json"


class Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        """The sentence of a refusal; fails where the answer is anything else."""
        assert self.headers["content-type"] == JSON, self
        assert list(self.json) == ["error"], self
        sentence = self.json["error"]
        assert sentence
        assert "\n" not in sentence
        assert "Traceback" not in sentence
        return sentence


class Served:
    """A running server."""

    def __init__(self, process: subprocess.Popen, port: int, log: Path, errors: Path) -> None:
        self.process, self.port, self._log, self._errors = process, port, log, errors
        self.url = f"http://127.0.0.1:{port}"

    def ask(
        self,
        body: Any,
        content_type: Optional[str] = JSON,
        path: str = "/invocations",
        method: str = "POST",
        **headers: str,
    ) -> Answer:
        """One request on a connection of its own; what is neither text nor bytes is sent as JSON."""
        data = (
            body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else json.dumps(body).encode()
        )
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if content_type is not None:
            sent["content-type"] = content_type
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, data, sent)
            return read(connection.getresponse())
        finally:
            connection.close()

    def get(self, path: str, method: str = "GET") -> Answer:
        return self.ask(b"", None, path, method)

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)

    def send(self, data: bytes) -> bytes:
        """Sends bytes and returns all that comes back until the server closes."""
        with self.connect() as client:
            client.sendall(data)
            return receive_all(client)

    def metric(self, name: str) -> float:
        """The sum of a metric over the labels that ``name`` leaves open."""
        lines = self.get("/metrics").body.decode().splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith(name))

    def log(self) -> List[Dict[str, Any]]:
        return [json.loads(line) for line in self._log.read_text().splitlines()]

    def errors(self) -> str:
        return self._errors.read_text()

    def stop(self, number: int = signal.SIGTERM, deadline_s: float = 30.0) -> float:
        """Ends the server; returns the seconds that it took."""
        started = time.monotonic()
        self.process.send_signal(number)
        assert self.process.wait(timeout=deadline_s) == 0, self.errors()
        return time.monotonic() - started


def read(response: http.client.HTTPResponse) -> Answer:
    return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())


def receive_all(client: socket.socket) -> bytes:
    parts = []
    while True:
        try:
            part = client.recv(65536)
        except ConnectionResetError:
            part = b""
        if not part:
            return b"".join(parts)
        parts.append(part)


def command() -> List[str]:
    return [sys.executable, "-m", "rl_app", "serve"]


def environment(model: Path, **settings: Union[str, float]) -> Dict[str, str]:
    """``model`` lies in its base directory, as /opt/ml/model does."""
    ours = {"SAGEMAKER_BASE_DIR": str(model.parent), "SERVE_HOST": "127.0.0.1", "SAGEMAKER_BIND_TO_PORT": "0"}
    return {**os.environ, **ours, **{name: str(value) for name, value in settings.items()}}


@contextmanager
def serving(model: Path, **settings: Union[str, float]) -> Iterator[Served]:
    """A server of ``model``, which is /opt/ml/model; ended at the end if it still runs."""
    log, errors = model.parent / "log", model.parent / "errors"
    with log.open("wb") as out, errors.open("wb") as err:
        process = subprocess.Popen(
            command(), cwd=str(REPOSITORY), env=environment(model, **settings), stdout=out, stderr=err
        )
    try:
        until(lambda: log.read_text().endswith("\n") or process.poll() is not None, timeout=60)
        assert process.poll() is None, errors.read_text()
        yield Served(process, json.loads(log.read_text().splitlines()[0])["port"], log, errors)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
