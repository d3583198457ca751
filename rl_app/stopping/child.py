"""The job's process as SageMaker treats it: started, told to stop, killed where it does not, and missed at once."""

from __future__ import annotations

import ctypes
import os
import select
import signal
import subprocess
import time
from contextlib import contextmanager
from typing import Callable, Iterator, List, Mapping, NamedTuple, Optional, Sequence

from rl_app.machine import unless_ignored
from rl_app.stopping import strays

MAX_RUN = 0
"""Beside the numbers of signals: what asks a job to stop when its time is over."""
PR_SET_PDEATHSIG = 1
PRCTL = ctypes.CDLL(None).prctl  # looked up here, for a child just forked has to call little


class Ended(NamedTuple):
    """The child's status (negative: the signal that ended it), what asked it to stop, and what had it killed then."""

    status: int
    asked: Optional[int]
    killed: Optional[int]


class Signals:
    """The signals that came to this process, each once and in their order.

    They lie in a pipe, into which Python's own handler writes in the moment when they come: what looks into it
    and then waits for more misses none that falls in between, whichever thread the signal came to.
    """

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe
        self._come: List[int] = []

    def next(self, timeout: float) -> Optional[int]:
        """Wait for the next signal; None where none comes in ``timeout`` seconds."""
        if not self._come and select.select([self._pipe], [], [], max(timeout, 0.0))[0]:
            self._come = list(os.read(self._pipe, select.PIPE_BUF))
        return self._come.pop(0) if self._come else None


@contextmanager
def caught_signals() -> Iterator[Signals]:
    """Have signals stop the job, not this process, while the block runs; the end of a child is one, too."""
    caught = [signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, *unless_ignored(signal.SIGHUP)]
    readable, writable = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    # A full pipe holds more signals than anybody sends, and what waits is awake by then
    before = signal.set_wakeup_fd(writable, warn_on_full_buffer=False)
    # Only what has a handler in Python is written into the pipe
    previous = {number: signal.signal(number, lambda _, __: None) for number in caught}
    try:
        yield Signals(readable)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(before)
        os.close(readable)
        os.close(writable)


def start(command: Sequence[str], environ: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start the job in a process group of its own, so that Ctrl-C reaches only us."""
    us = os.getpid()
    return subprocess.Popen(
        list(command),
        env=dict(environ),
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=lambda: follow(us, signal.SIGTERM),  # no thread of ours is there yet, as it must be
    )


def follow(parent: int, number: int) -> None:
    """Have this process, a child, get the signal when its parent is killed."""
    PRCTL(PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:
        os.kill(os.getpid(), number)


def supervise(
    child: subprocess.Popen[bytes],
    signals: Signals,
    max_run: float,
    grace: float,
    say: Callable[[str], None],
    limit: str = "max_run",
) -> Ended:
    """Wait for the job to end; SIGTERM at the first signal or after ``max_run`` seconds, then SIGKILL.

    ``limit`` is what sets them.
    ``say`` is told why the job has to stop. What the job left running, in whatever session, is killed at its end.
    """
    strays.adopt()
    own = strays.children()
    asked = killed = None
    deadline = time.monotonic() + max_run
    while not os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
        event = signals.next(deadline - time.monotonic())
        if event is None:
            event = MAX_RUN
        if event == signal.SIGCHLD:
            continue
        if asked is None:
            why = signal.Signals(event).name if event else f"{limit} ({max_run:g} s) is over"
            say(f"{why}: the job has {grace:.0f} s to save and end; Ctrl-C kills it")
            asked, deadline = event, time.monotonic() + grace
            child.send_signal(signal.SIGTERM)
        elif event in (signal.SIGINT, MAX_RUN):
            killed, deadline = event, time.monotonic() + grace
            os.killpg(child.pid, signal.SIGKILL)
    # not reaped yet, the child still holds the number of the group
    os.killpg(child.pid, signal.SIGKILL)
    ended = Ended(child.wait(), asked, killed)
    strays.end(spared=own)
    return ended
