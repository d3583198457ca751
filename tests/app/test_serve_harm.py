"""The server against slow, greedy and vanishing clients, against signals, and against models that are none."""

from __future__ import annotations

import http.client
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import tarfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any, Callable, List

import psutil
import pytest

from rl_app.serving.access_log import LINES_KEPT
from tests.app.made_models import write_model
from tests.app.serving import JSON, REPOSITORY, Served, answer_on, everything, head, until_sent
from tests.waiting import until

FINE = b'{"observations": [[1, 2, 3, 4]]}'


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("plain") / "model")


# ---- a log that nobody reads


def test_a_log_that_nobody_reads_stops_nobody(model: Path) -> None:
    asked = LINES_KEPT + 2000  # the pipe holds some hundred lines itself
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as log, Served(model, stdout=writing) as server:
        os.close(writing)
        with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)) as client:
            for _ in range(asked):
                client.request("POST", "/invocations", FINE)
                assert client.getresponse().read()
        metrics = server.get("/metrics").body.decode()
        lost = int(float(metrics.partition("\nlog_lines_lost_total ")[2].split()[0]))
        assert 0 < lost < 2000
        lines = [json.loads(log.readline()) for _ in range(asked - lost)]
        assert {line["path"] for line in lines} == {"/invocations"}
        assert server.post(FINE).status == 200  # and its line is written again, which that of /metrics was not
        assert json.loads(log.readline())["path"] == "/invocations"


# ---- slow clients


@pytest.mark.parametrize(
    ("sent", "what"),
    [
        (b"", "request"),
        (b"POST /invocations HTTP/1.1\r\nHost: he", "headers"),
        (head(100) + b'{"observations"', "body"),
    ],
    ids=["nothing", "half of the headers", "half of the body"],
)
def test_a_client_that_does_not_finish_is_closed_and_holds_nobody_up(sent: bytes, what: str, model: Path) -> None:
    with Served(model, SERVE_CLIENT_TIMEOUT_S="1") as server:
        began = time.monotonic()
        clients = [server.connect() for _ in range(50)]
        for client in clients:
            client.sendall(sent)
        assert server.post(FINE).status == 200
        assert time.monotonic() - began < 0.9  # before any of them was closed
        answers = [everything(client) for client in clients]
        assert 0.8 < time.monotonic() - began < 5
        for answer in answers:
            assert answer.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
            assert json.loads(answer.partition(b"\r\n\r\n")[2]) == {"error": f"no whole {what} in 1 s"}
        assert "slow_clients_total 50.0" in server.get("/metrics").body.decode()
        server.stop()
    assert sum("closed" in line for line in server.log()) == 50


def test_a_client_that_sends_byte_by_byte_is_closed_too(model: Path) -> None:
    with Served(model, SERVE_CLIENT_TIMEOUT_S="1") as server, server.connect() as client:
        began = time.monotonic()
        with pytest.raises(OSError):  # noqa: PT011  # a reset or a broken pipe
            for byte in head(100) * 100:
                client.sendall(bytes([byte]))
                threading.Event().wait(0.05)
        assert time.monotonic() - began < 5


def test_a_client_that_is_slow_but_in_time_is_answered(model: Path) -> None:
    with Served(model, SERVE_CLIENT_TIMEOUT_S="10") as server, server.connect() as client:
        for piece in (head(len(FINE))[:20], head(len(FINE))[20:], FINE[:5], FINE[5:]):
            client.sendall(piece)
            threading.Event().wait(0.1)
        assert answer_on(client).startswith(b"HTTP/1.1 200 OK\r\n")


def test_a_client_that_does_not_take_its_answer_is_closed(model: Path) -> None:
    with Served(model, SERVE_CLIENT_TIMEOUT_S="1") as server:
        body = json.dumps({"observations": [[1.0, 2.0, 3.0, 4.0]] * 200_000}).encode()
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(("127.0.0.1", server.port))
            client.sendall(head(len(body)) + body)
            until(lambda: "slow_clients_total 1.0" in server.get("/metrics").body.decode(), 20)
        assert server.post(FINE).status == 200


def test_an_idle_connection_is_closed_after_a_time_that_is_a_setting(model: Path) -> None:
    with Served(model, SERVE_IDLE_TIMEOUT_S="0.5") as server, server.connect() as client:
        client.sendall(head(len(FINE)) + FINE)
        began = time.monotonic()
        assert everything(client).startswith(b"HTTP/1.1 200 OK\r\n")
        assert 0.3 < time.monotonic() - began < 5


# ---- large requests


def test_a_body_over_the_limit_is_refused_before_it_is_sent(model: Path) -> None:
    with Served(model, SERVE_MAX_BODY_MB="0.5") as server, server.connect() as client:
        client.sendall(head(2 << 20))
        answer = answer_on(client)
        assert answer.startswith(b"HTTP/1.1 413 ")
        assert b"larger than 524288 bytes, which is the limit" in answer


def test_a_body_over_the_limit_is_refused_while_it_is_read(model: Path) -> None:
    with Served(model, SERVE_MAX_BODY_MB="0.5") as server, server.connect() as client:
        client.sendall(head(0).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked"))
        chunk = b"10000\r\n" + b"1" * 0x10000 + b"\r\n"
        for _ in range(9):  # of which the ninth is too much
            client.sendall(chunk)
        assert answer_on(client).startswith(b"HTTP/1.1 413 ")
        memory = psutil.Process(server.process.pid).memory_info().rss
        assert memory < 300e6
        client.sendall(chunk * 3 + b"0\r\n\r\n")  # it is read, dropped, and the connection goes on
        client.sendall(head(len(FINE)) + FINE)
        assert answer_on(client).startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_a_client_that_reads_only_when_it_has_sent_all_gets_its_413(version: str, model: Path) -> None:
    with Served(model, SERVE_MAX_BODY_MB="0.5") as server:
        for _ in range(5):
            with server.connect() as client:
                asked = head(40 << 20).replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
                client.sendall(asked.replace(b"HTTP/1.1", b"HTTP/" + version.encode()) + b"1" * (40 << 20))
                answer = everything(client)
                assert answer.startswith(b"HTTP/1.1 413 ") and b"larger than 524288 bytes" in answer
        assert psutil.Process(server.process.pid).memory_info().rss < 300e6


def test_headers_without_end_get_their_answer_too(model: Path) -> None:
    with Served(model) as server, server.connect() as client:
        client.sendall(b"GET /ping HTTP/1.1\r\nHost: here\r\nX: " + b"x" * (2 << 20))
        assert everything(client).startswith(b"HTTP/1.1 431 ")


def test_a_refused_body_is_not_read_for_ever(model: Path) -> None:
    with Served(model, SERVE_MAX_BODY_MB="0.5", SERVE_CLIENT_TIMEOUT_S="1") as server, server.connect() as client:
        client.sendall(head(1 << 40).replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        began = time.monotonic()
        with pytest.raises(OSError):  # noqa: PT011  # a reset or a broken pipe
            while time.monotonic() - began < 20:
                client.sendall(b"1" * 1000)
        assert time.monotonic() - began < 5


def test_expect_100_continue_is_answered_or_refused(model: Path) -> None:
    with Served(model, SERVE_MAX_BODY_MB="0.5") as server:
        for length, first in ((len(FINE), b"HTTP/1.1 100 "), (2 << 20, b"HTTP/1.1 413 ")):
            with server.connect() as client:
                client.sendall(head(length).replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n"))
                assert until_sent(client, first).startswith(first)


@pytest.mark.parametrize(("megabytes", "status"), [("1", 413), ("0", 200), ("8", 200)])
def test_a_batch_transforms_own_limit_wins(megabytes: str, status: int, model: Path) -> None:
    limits = {"SAGEMAKER_MAX_PAYLOAD_IN_MB": megabytes, "SERVE_MAX_BODY_MB": "2"}
    with Served(model, **limits) as server:
        said = server.post(b"[" + b",".join([b"[1,2,3,4]"] * 300_000) + b"]")
        assert said.status == status
        if status == 413:
            limit = "1048576 bytes, which is the limit (SAGEMAKER_MAX_PAYLOAD_IN_MB)"
            assert said.json == {"error": f"body: larger than {limit}"}


def test_headers_without_end_are_refused(model: Path) -> None:
    with Served(model) as server, server.connect() as client:
        client.sendall(b"GET /ping HTTP/1.1\r\n")
        with pytest.raises(OSError):  # noqa: PT011  # a reset or a broken pipe
            for number in range(10_000):
                client.sendall(b"X-%d: " % number + b"x" * 1000 + b"\r\n")
        assert psutil.Process(server.process.pid).memory_info().rss < 300e6
        assert server.get("/ping").status == 200


def test_what_is_no_http_gets_one_sentence_too(model: Path) -> None:
    with Served(model) as server, server.connect() as client:
        client.sendall(b"\x16\x03\x01 hello\r\n\r\n")
        answer = everything(client)
        assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
        assert answer.endswith(b'{"error":"malformed HTTP request"}')


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (JSON, b'{"instances":[' + b",".join([b"[1,0,0,0]"] * 600_000) + b"]}"),
        ("application/jsonlines", b"[1,0,0,0]\n" * 600_000),
    ],
    ids=["json", "json lines"],
)
def test_a_body_of_very_many_rows_takes_little_memory_and_gives_it_back(kind: str, body: bytes, model: Path) -> None:
    with Served(model) as server:
        answer = server.post(body, kind, kind).body
        assert answer.count(b'"actions_0"') == 600_000
        status = Path(f"/proc/{server.process.pid}/status").read_text()
        highest = int(status.partition("VmHWM:")[2].split()[0]) << 10
        assert highest < 450e6
        until(lambda: psutil.Process(server.process.pid).memory_info().rss < 200e6)


def test_ping_is_answered_while_a_large_request_is_worked_on(model: Path) -> None:
    body = json.dumps({"observations": [[1.0, 2.0, 3.0, 4.0]] * 400_000}).encode()
    with Served(model) as server, ThreadPoolExecutor(1) as pool:
        working = pool.submit(server.post, body)
        slowest = 0.0
        while not working.done():
            began = time.monotonic()
            assert server.get("/ping").status == 200
            slowest = max(slowest, time.monotonic() - began)
        assert working.result().status == 200
        assert slowest < 2  # SageMaker's limit


def test_a_client_that_goes_away_is_noted_and_nothing_else(model: Path) -> None:
    with Served(model) as server:
        for _ in range(20):
            with server.connect() as client:
                client.sendall(head(100) + b"[")
        until(lambda: 'status="499"} 20.0' in server.get("/metrics").body.decode())
        assert server.post(FINE).status == 200
        server.stop()
    assert "Traceback" not in server.stderr


# ---- the end


def test_it_ends_at_once_when_idle(model: Path) -> None:
    with Served(model) as server:
        with server.connect() as idle:
            idle.sendall(head(len(FINE)) + FINE)
            assert answer_on(idle)
            began = time.monotonic()
            assert server.stop() == 0
            assert time.monotonic() - began < 5
        with pytest.raises(ConnectionRefusedError):
            server.get("/ping")


def test_what_is_under_way_is_answered_and_new_connections_are_refused(model: Path) -> None:
    with Served(model) as server:
        begun = [server.connect() for _ in range(20)]
        for client in begun:
            client.sendall(head(len(FINE)) + FINE[:10])
        until(lambda: len(psutil.Process(server.process.pid).net_connections()) >= 21)
        server.process.send_signal(signal.SIGTERM)
        until(lambda: refused(server))
        for client in begun:
            client.sendall(FINE[10:])
        answers = [everything(client) for client in begun]
        assert all(answer.startswith(b"HTTP/1.1 200 OK\r\n") for answer in answers)
        assert all(b"\r\nconnection: close\r\n" in answer for answer in answers)
        assert server.process.wait(10) == 0


def test_a_client_that_never_finishes_does_not_keep_it_from_ending(model: Path) -> None:
    with Served(model, SERVE_CLIENT_TIMEOUT_S="600", SERVE_DRAIN_S="2") as server, server.connect() as client:
        client.sendall(head(100) + b"[")
        until(lambda: len(psutil.Process(server.process.pid).net_connections()) >= 2)
        began = time.monotonic()
        assert server.stop() == 0
        assert 1.5 < time.monotonic() - began < 6
        assert "Traceback" not in server.stderr and len(server.stderr.splitlines()) <= 2, server.stderr


def test_a_client_that_never_finishes_is_not_waited_for_to_the_last(model: Path) -> None:
    with Served(model) as server, server.connect() as client:
        client.sendall(head(100) + b"[")
        until(lambda: len(psutil.Process(server.process.pid).net_connections()) >= 2)
        began = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began < 10
        assert everything(client).startswith(b"HTTP/1.1 408 ")
    assert [line["why"] for line in server.log() if "why" in line] == ["no whole body in 5 s, and the server ends"]


def refused(server: Served) -> bool:
    try:
        server.connect().close()
    except ConnectionRefusedError:
        return True
    return False


def test_no_request_is_lost_at_sigterm_under_load(model: Path) -> None:
    """Each client asks on one connection until it is told to close it, and then on new ones until none is to be had."""
    with Served(model) as server, ThreadPoolExecutor(8) as pool:
        clients = [pool.submit(ask_until_refused, server) for _ in range(8)]
        until(lambda: 'path="/invocations",status="200"' in server.get("/metrics").body.decode())
        server.process.send_signal(signal.SIGTERM)
        answered = [each.result(timeout=20) for each in clients]
        assert server.process.wait(10) == 0
    assert sum(answered) > len(clients)


def ask_until_refused(server: Served) -> int:
    """How many requests were answered; one that was sent and not answered is an error."""
    answered = 0
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        try:
            connection.connect()
            answered += ask_until_closed(connection)
        except ConnectionRefusedError:
            return answered
        except ConnectionError:  # on its first request: it waited to be accepted when the server stopped listening
            assert refused(server)
            return answered


def ask_until_closed(connection: http.client.HTTPConnection) -> int:
    """How many requests a connection answered until it said that it closes."""
    with closing(connection):
        for number in itertools.count(1):
            try:
                connection.request("POST", "/invocations", FINE, {"Content-Type": JSON})
                answer = connection.getresponse()
            except ConnectionError as error:
                if number == 1:
                    raise
                raise AssertionError(f"request {number} of a connection was lost") from error
            assert (answer.status, bool(answer.read())) == (200, True)
            if answer.getheader("connection") == "close":
                return number
    raise AssertionError("cannot be reached")


# ---- models and settings that cannot be served


def broken(model: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "model"
    copy.mkdir()
    for name in ("policy.json", "policy.onnx"):
        (copy / name).write_bytes((model / name).read_bytes())
    return copy


def cut(directory: Path) -> None:
    file = directory / "policy.onnx"
    file.write_bytes(file.read_bytes()[:200])


def no_json(directory: Path) -> None:
    (directory / "policy.json").write_text("{")


def other_space(directory: Path) -> None:
    facts = json.loads((directory / "policy.json").read_text())
    facts["observation_space"]["shape"] = [5]
    (directory / "policy.json").write_text(json.dumps(facts))


def gone(directory: Path) -> None:
    (directory / "policy.onnx").unlink()


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (cut, "policy.onnx: cannot be loaded: "),
        (no_json, "policy.json: cannot be read: "),
        (
            other_space,
            "policy.json: observation_space.shape: must be of as many numbers as there are bounds, 4, and is",
        ),
        (gone, "policy.onnx: no such file, and no "),
    ],
)
def test_a_model_that_is_none_fails_at_the_start_with_one_line(
    harm: Callable[[Path], None], said: str, model: Path, tmp_path: Path
) -> None:
    copy = broken(model, tmp_path)
    harm(copy)
    status, lines = ended([str(copy), "--port", "0"])
    assert (status, len(lines)) == (2, 2), lines  # the first names the model
    assert said in lines[1]


def test_an_archive_that_is_none_fails_at_the_start_with_one_line(model: Path, tmp_path: Path) -> None:
    archive = tmp_path / "model.tar.gz"
    with tarfile.open(str(archive), "w:gz") as tar:
        tar.add(str(model / "policy.json"), "policy.json")
    archive.write_bytes(archive.read_bytes()[:-40])
    status, lines = ended([str(archive), "--port", "0"])
    assert (status, len(lines)) == (2, 2), lines
    assert "model.tar.gz" in lines[1]


@pytest.mark.parametrize(
    ("words", "environment", "said"),
    [
        ([], {"SAGEMAKER_BASE_DIR": "/none"}, "/none/model: is missing; SageMaker mounts the model there"),
        (["none/model.tar.gz"], {}, "none/model.tar.gz: there is no such file or directory"),
        (["none"], {}, "none: no job of "),
        (["MODEL", "--port", "99999"], {}, "port = 99999: must be 0 to 65535"),
        (["MODEL"], {"SAGEMAKER_BIND_TO_PORT": "http"}, "port = http: must be 0 to 65535"),
        (["MODEL"], {"SERVE_MAX_BODY_MB": "much"}, "SERVE_MAX_BODY_MB = much: must be a number from 0 to 999999"),
        (["MODEL"], {"SERVE_CLIENT_TIMEOUT_S": "0"}, "SERVE_CLIENT_TIMEOUT_S = 0: must be a number from 0.1"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_what_cannot_be_served_is_refused(
    words: List[str], environment: Any, said: str, model: Path, tmp_path: Path
) -> None:
    status, lines = ended([str(model) if word == "MODEL" else word for word in words], tmp_path, **environment)
    assert status == 2
    assert said in lines[-1]


def test_a_port_that_is_taken_is_named(model: Path) -> None:
    with socket.create_server(("0.0.0.0", 0)) as other:
        port = other.getsockname()[1]
        status, lines = ended([str(model), "--port", str(port)])
    assert status == 2
    assert lines[-1] == f"port = {port}: Address already in use"


def ended(words: List[str], cwd: Path = REPOSITORY, **environment: str) -> "tuple[int, List[str]]":
    """A server that does not come up: its status, and the lines on standard error."""
    done = subprocess.run(
        [sys.executable, "-m", "rl_app", "serve", *words],
        cwd=str(cwd),
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        universal_newlines=True,
        timeout=60,
    )
    assert done.stdout == ""
    return done.returncode, done.stderr.splitlines()


def test_a_policy_that_breaks_says_so_on_ping_and_keeps_its_traceback(model: Path, tmp_path: Path) -> None:
    program = tmp_path / "breaking.py"
    program.write_text(
        "import sys\n"
        "from rl_app import serve\n"
        "from rl_app.policy.policy import Policy\n"
        "act, calls = Policy.act, []\n"
        "def breaking(self, *words, **named):\n"
        "    calls.append(1)\n"
        "    if len(calls) > 2:\n"
        "        raise RuntimeError('the network is broken')\n"
        "    return act(self, *words, **named)\n"
        "Policy.act = breaking\n"
        "sys.exit(serve.main(sys.argv[1:]))\n"
    )
    with Served(model, program=[str(program)], PYTHONPATH=str(REPOSITORY)) as server:
        assert server.get("/ping").status == 500
        answer = server.post(FINE)
        assert (answer.status, answer.headers["content-type"]) == (500, JSON)
        assert answer.json == {"error": "the server failed to answer; its log says why"}
        assert server.stop() == 0
    assert "RuntimeError: the network is broken" in server.stderr
