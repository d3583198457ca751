"""A child's end and every signal are noticed in the moment when they come, whatever else the process does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, List

import psutil
import pytest

from rl_app.stopping.child import MAX_RUN, caught_signals, start, supervise
from tests.waiting import until

CHILDREN = 2000
FAR = 20.0
SILENT: List[str] = []


@contextmanager
def busy_threads(count: int = 2) -> Iterator[None]:
    """Threads that want the interpreter all the time, and to one of which a signal may come."""
    done = threading.Event()

    def work() -> None:
        while not done.is_set():
            sum(range(1000))

    threads = [threading.Thread(target=work) for _ in range(count)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-4)
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        done.set()
        for thread in threads:
            thread.join()
        sys.setswitchinterval(interval)


@pytest.mark.timeout(300)
def test_of_thousands_of_short_children_no_end_is_lost_or_late() -> None:
    with busy_threads(), caught_signals() as signals:
        for _ in range(CHILDREN):
            ended = supervise(start(["/bin/true"], {}), signals, FAR, FAR, SILENT.append)
            assert ended == (0, None, None), "the end was noticed only when max_run was over"


@pytest.mark.timeout(300)
def test_no_stop_is_lost_however_close_to_the_end_of_the_child_it_comes() -> None:
    """Each child tells this process to stop while it waits, and goes on until it is told to end itself."""
    tell = ["/bin/sh", "-c", "trap 'exit 0' TERM; kill -TERM $PPID; while :; do sleep 5 & wait $!; done"]
    with busy_threads(), caught_signals() as signals:
        for _ in range(100):
            began = time.monotonic()
            ended = supervise(start(tell, {"PATH": os.environ["PATH"]}), signals, FAR, FAR, SILENT.append)
            assert ended[1:] == (signal.SIGTERM, None)
            assert time.monotonic() - began < FAR / 2


def test_a_signal_that_comes_between_the_look_and_the_wait_is_there_when_the_wait_begins() -> None:
    with caught_signals() as signals:
        assert signals.next(0) is None
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
        assert [signals.next(FAR), signals.next(FAR), signals.next(0)] == [signal.SIGTERM, signal.SIGINT, None]


def test_a_signal_that_comes_to_another_thread_wakes_the_wait() -> None:
    with caught_signals() as signals:
        thread = threading.Thread(target=lambda: signal.pthread_kill(threading.get_ident(), signal.SIGTERM))
        thread.start()
        assert signals.next(FAR) == signal.SIGTERM
        thread.join()


def test_time_that_is_over_asks_the_child_and_then_kills_it() -> None:
    stubborn = subprocess.Popen(["/bin/sh", "-c", "trap '' TERM; while :; do sleep 1; done"], start_new_session=True)
    said: List[str] = []
    with caught_signals() as signals:
        assert supervise(stubborn, signals, 0.3, 0.3, said.append) == (-signal.SIGKILL, MAX_RUN, MAX_RUN)
    assert len(said) == 1 and "max_run" in said[0]


def test_what_a_child_left_in_another_session_ends_with_it_and_nothing_else_does(tmp_path: Path) -> None:
    ours = subprocess.Popen(["sleep", "600"])
    said = tmp_path / "said"
    leave = f"setsid sleep 600 & echo $! > {said}; trap 'exit 0' TERM; while :; do sleep 5 & wait $!; done"
    child = start(["/bin/sh", "-c", leave], {"PATH": os.environ["PATH"]})
    until(lambda: said.exists() and said.read_text().endswith("\n"), FAR)
    with caught_signals() as signals:
        assert supervise(child, signals, 0.0, FAR, SILENT.append).status == 0
    assert not psutil.pid_exists(int(said.read_text()))
    assert ours.poll() is None
    ours.kill()
    ours.wait()


def test_handlers_and_the_wake_up_are_put_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with caught_signals():
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before
    assert signal.set_wakeup_fd(-1) == -1
