"""Several processes behind one port: they share the work, the counts and the end, and one that dies is replaced."""

from __future__ import annotations

import os
import re
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Dict, Set

import gym
import numpy as np
import psutil
import pytest

from tests.app.made_models import write_model
from tests.app.serving import Served
from tests.app.test_serve_harm import ask_until_refused
from tests.waiting import until

THREE = {"SERVE_WORKERS": "3"}
OBSERVATION = {"observations": [0.0, 0.0, 0.0, 0.0]}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("model")
    write_model(directory, gym.spaces.Box(-np.inf, np.inf, (4,), np.float32), gym.spaces.Discrete(2))
    return directory


def processes(server: Served) -> Set[int]:
    return {child.pid for child in psutil.Process(server.process.pid).children()}


def counted(server: Served) -> Dict[str, float]:
    """What /metrics says, by name and labels."""
    lines = server.get("/metrics").body.decode().splitlines()
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if not line.startswith("#")}


def test_they_answer_together_and_are_counted_as_one(model: Path) -> None:
    with Served(model, **THREE) as server:
        assert len(processes(server)) == 3
        with ThreadPoolExecutor(12) as pool:
            answers = list(pool.map(lambda _: server.post(OBSERVATION).status, range(300)))
        assert set(answers) == {200}
        metrics = counted(server)
        assert metrics['requests_total{path="/invocations",status="200"}'] == 300
        assert metrics["batch_rows_sum"] == 300
        alone = psutil.Process(min(processes(server))).memory_info().rss
        assert metrics["process_resident_memory_bytes"] > 2 * alone
        server.stop()
    assert len([line for line in server.log() if line.get("path") == "/invocations"]) == 300
    assert re.search(r"by onnxruntime in 3 processes: http://127\.0\.0\.1:\d+/ after", server.stderr)


def test_one_that_dies_is_replaced_and_the_others_go_on(model: Path) -> None:
    with Served(model, **THREE) as server:
        server.post(OBSERVATION)
        before = processes(server)
        killed = min(before)
        os.kill(killed, signal.SIGKILL)
        until(lambda: killed not in processes(server) and len(processes(server)) == 3)
        assert len(processes(server) & before) == 2
        assert {server.post(OBSERVATION).status for _ in range(20)} == {200}
        assert counted(server)['requests_total{path="/invocations",status="200"}'] == 21
        assert server.stop() == 0
    said = "a process that serves was ended by SIGKILL in the middle, as for want of memory; another takes its place"
    assert said in server.stderr
    assert "Traceback" not in server.stderr


def test_no_request_is_lost_when_all_are_told_to_end(model: Path) -> None:
    with Served(model, **THREE) as server, ThreadPoolExecutor(8) as pool:
        clients = [pool.submit(ask_until_refused, server) for _ in range(8)]
        until(lambda: 'path="/invocations",status="200"' in server.get("/metrics").body.decode())
        everyone = processes(server)
        server.process.send_signal(signal.SIGTERM)
        assert sum(each.result(timeout=20) for each in clients) > len(clients)
        assert server.process.wait(20) == 0
    assert not [number for number in everyone if psutil.pid_exists(number)]


def test_they_end_when_the_one_that_looks_after_them_is_killed(model: Path) -> None:
    server = Served(model, **THREE)
    with server:
        everyone = [psutil.Process(number) for number in processes(server)]
        server.stop(signal.SIGKILL)
    _, alive = psutil.wait_procs(everyone, 20)
    assert not alive


def send_to_all(server: Served, number: int) -> None:
    """Sends a signal as a terminal does: to each of the processes."""
    for pid in [*processes(server), server.process.pid]:
        os.kill(pid, number)


@pytest.mark.parametrize("workers", ["1", "3"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_ctrl_c_and_a_terminal_that_is_closed_end_all_of_them(
    number: int, workers: str, model: Path, tmp_path: Path
) -> None:
    with Served(model, SERVE_WORKERS=workers, TMPDIR=str(tmp_path)) as server:
        send_to_all(server, number)
        assert server.stop() == 0
    assert "Traceback" not in server.stderr and "takes its place" not in server.stderr
    assert list(tmp_path.iterdir()) == []


UNDER_NOHUP = """
import runpy, signal, sys
signal.signal(signal.SIGHUP, signal.SIG_IGN)
sys.argv = ["rl_app", "serve", *sys.argv[1:]]
runpy.run_module("rl_app", run_name="__main__")
"""


@pytest.mark.parametrize("workers", ["1", "3"])
def test_under_nohup_they_outlive_the_terminal(workers: str, model: Path) -> None:
    with Served(model, ("-c", UNDER_NOHUP), SERVE_WORKERS=workers) as server:
        before = processes(server)
        send_to_all(server, signal.SIGHUP)
        assert {server.post(OBSERVATION).status for _ in range(20)} == {200}
        assert processes(server) == before
        assert server.stop() == 0
    assert "takes its place" not in server.stderr


def test_the_one_that_is_stopped_is_killed_in_the_end(model: Path) -> None:
    with Served(model, SERVE_DRAIN_S="0.5", **THREE) as server:
        os.kill(min(processes(server)), signal.SIGSTOP)
        assert server.stop() == 0


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "many", "257"])
def test_a_number_that_makes_no_sense_is_refused(text: str, model: Path, capfd: pytest.CaptureFixture[str]) -> None:
    from rl_app import serve

    assert serve.main([str(model)], {"SERVE_WORKERS": text}) == 2
    assert capfd.readouterr().err == f"SERVE_WORKERS = {text}: must be a whole number from 1 to 256\n"
