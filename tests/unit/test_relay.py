"""A stop reaches the job whatever a library does to the handler of SIGTERM; statuses and signals come back."""

from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from tests.waiting import until

REPOSITORY = str(Path(__file__).parents[2])
HEAD = """
import os, pathlib, signal, sys, time
from rl_app.stopping import relay
def job(stop):
    %s
sys.exit(relay.behind(job))
"""
# What Ray does: a handler in Python, and one in C (here the default one, which ends a process too)
GREEDY = """
    for handler in (lambda *_: sys.exit(15), signal.SIG_DFL):
        signal.signal(signal.SIGTERM, handler)
    pathlib.Path(sys.argv[1], "ready").touch()
    deadline = time.monotonic() + 20
    while not stop and time.monotonic() < deadline: time.sleep(0.01)
    pathlib.Path(sys.argv[1], f"stopped-{stop.signal}").touch()
    return 7
"""


def start(body: str, *arguments: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", HEAD % body, *map(str, arguments)], cwd=REPOSITORY)


@pytest.mark.parametrize(("number", "as_told"), [(signal.SIGTERM, signal.SIGTERM), (signal.SIGINT, signal.SIGTERM)])
def test_a_stop_gets_past_handlers_of_others(number: int, as_told: int, tmp_path: Path) -> None:
    process = start(GREEDY, tmp_path)
    until((tmp_path / "ready").exists)
    process.send_signal(number)
    assert process.wait(10) == 7
    assert (tmp_path / f"stopped-{int(as_told)}").exists()


@pytest.mark.parametrize("status", [0, 1, 2, 143])
def test_the_status_is_the_jobs(status: int) -> None:
    assert start(f"return {status}").wait(10) == status


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM])
def test_a_signal_that_ends_the_job_is_seen_outside(number: int) -> None:
    """As it is read by what tells a want of memory from other ends."""
    own = f"signal.signal({int(number)}, 0); " if number != signal.SIGKILL else ""
    assert start(f"{own}os.kill(os.getpid(), {int(number)}); time.sleep(20)").wait(10) == -number


@pytest.mark.parametrize(
    ("held", "named"),
    [
        ("threading.Thread(target=time.sleep, args=(60,), name='simulator').start()", "simulator of its own code"),
        ("atexit.register(time.sleep, 60)", "its process"),
    ],
)
def test_a_job_that_has_returned_is_over_whatever_still_runs_in_its_process(held: str, named: str) -> None:
    body = f"import atexit, threading; {held}; os.dup2(os.open(os.devnull, os.O_WRONLY), 1)"
    process = subprocess.Popen(
        [sys.executable, "-c", HEAD % f"{body}; return 3"], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
    )
    said, _ = process.communicate(timeout=30)
    assert process.returncode == 3
    assert said == f"the job is over, and {named} has not ended in 5 s: not waited for\n"


def test_a_job_ends_when_the_process_before_it_is_killed(tmp_path: Path) -> None:
    process = start(GREEDY, tmp_path)
    until((tmp_path / "ready").exists)
    process.kill()
    process.wait(10)
    until((tmp_path / f"stopped-{int(signal.SIGTERM)}").exists)


def test_no_stop_is_lost_in_whatever_moment_it_comes(tmp_path: Path) -> None:
    """From the moment on in which the process could be told at all: before, it ends by the signal itself."""
    wait = "while not stop: time.sleep(0.01)\n    return 7"
    before = "import sys, os; sys.argv[1:] and os.write(1, b'x')\n"
    for index in range(30):
        process = subprocess.Popen(
            [sys.executable, "-c", before + HEAD % wait, "x"], cwd=REPOSITORY, stdout=subprocess.PIPE
        )
        assert process.stdout is not None and process.stdout.read(1) == b"x"
        with suppress(subprocess.TimeoutExpired):  # a moment of its own for each
            process.wait(index * 0.02)
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) in (7, -signal.SIGTERM)
        process.stdout.close()
