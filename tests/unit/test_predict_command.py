"""`scripts/predict --url`: a server of this machine is asked, whatever proxies there are."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Iterator

import pytest

from scripts.commands import predict


class Echo(BaseHTTPRequestHandler):
    """Answers with what it was asked."""

    def do_POST(self) -> None:
        asked = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(asked)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Echo) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{listening.server_port}"
        listening.shutdown()
        thread.join()


def test_a_proxy_does_not_stand_before_this_machine(
    server: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    assert predict.main(["--url", server, "[1, 2]"]) == 0
    assert capsys.readouterr().out == '{"observations": [[1, 2]]}\n'


def test_a_server_elsewhere_is_asked_by_the_proxy(
    server: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("http_proxy", server)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert predict.main(["--url", "http://policies.test", "[1, 2]"]) == 0
    assert capsys.readouterr().out == '{"observations": [[1, 2]]}\n'


@pytest.mark.parametrize(
    ("url", "status", "said"),
    [
        ("127.0.0.1:8080", 2, "--url 127.0.0.1:8080: must begin with http:// or https://\n"),
        ("http://127.0.0.1:1", 1, "http://127.0.0.1:1: does not answer: [Errno 111] Connection refused\n"),
    ],
)
def test_where_nobody_can_be_asked_one_line_says_why(
    url: str, status: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert predict.main(["--url", url, "[1, 2]"]) == status
    assert capsys.readouterr().err == said
