"""A job in a process of its own, to which a stop goes by a signal that no library takes away.

Importing Ray 0.8.5 and starting it put handlers of their own for SIGTERM, in Python and, by glog, in C: a stop that
came then ended the job as a failure or without a word. Putting ours back leaves a gap, blocking the signal for that
time only hands it to another thread (numpy has some) or to Ray's processes for good, so SIGTERM does not go there.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
from contextlib import suppress
from typing import Callable

from rl_app.stopping import scratch, strays
from rl_app.stopping.child import Signals, caught_signals, follow
from rl_app.stopping.stop_request import STOP, StopRequest

Job = Callable[[StopRequest], int]
CAUGHT = (signal.SIGTERM, signal.SIGINT)
FOREVER_S = 3600.0
LINGER_S = 5.0
"""How long the child may take to end once the job has returned: seconds where Ray ran."""


def behind(job: Job, lost: Callable[[int], int] = lambda status: status) -> int:
    """Run the job in a child, pass SIGTERM and Ctrl-C on to it, and return its exit status.

    A signal that ends the child ends this process, too. What the child started and left running is killed at its end,
    and what it left in its temporary folder is removed.

    Args:
        lost: called where the child ended before the job returned, with its status, negative where a signal ended
            it; returns the status that counts.
    """
    us = os.getpid()
    over, to_end = os.pipe()
    temporary = scratch.make()
    strays.adopt()
    # None may come to the child before it is ready, nor to us before there is a child
    signal.pthread_sigmask(signal.SIG_BLOCK, CAUGHT)
    child = os.fork()
    if child == 0:
        stop = StopRequest()
        stop.hold()  # to the end of the process, which takes seconds where Ray ran
        signal.pthread_sigmask(signal.SIG_UNBLOCK, CAUGHT)
        follow(us, STOP)
        if temporary:
            temporary.use()
        terminal = os.dup(1)  # the job may send its own elsewhere
        try:
            status = job(stop)
            os.write(to_end, b".")
            end_within(LINGER_S, status, terminal)
            sys.exit(status)
        finally:
            stop.disarm()
    with caught_signals() as signals:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, CAUGHT)
        status = passed_on(child, signals)
    strays.end()
    if temporary:
        temporary.remove()
    if not select.select([over], [], [], 0)[0]:
        status = lost(status)
    return ended_as(-status) if status < 0 else status


def passed_on(child: int, signals: Signals) -> int:
    """Wait for the child, which is told of every signal; return its status, negative where a signal ended it."""
    while not os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT):
        if signals.next(FOREVER_S) not in (None, signal.SIGCHLD):
            os.kill(child, STOP)
        strays.bury(child)
    _, status = os.waitpid(child, 0)
    return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def end_within(seconds: float, status: int, terminal: int) -> None:
    """Have this process end by then: Python waits for each thread of the user's code, and one may never end."""

    def end() -> None:
        threads = [each.name for each in threading.enumerate() if not each.daemon and each.ident != main]
        what = f"{threads[0]}{' and others' * (len(threads) > 1)} of its own code" if threads else "its process"
        line = f"the job is over, and {what} has not ended in {seconds:.0f} s: not waited for\n"
        with suppress(OSError):
            os.write(terminal, line.encode())
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):  # nobody reads it, or it is closed
                stream.flush()
        os._exit(status)

    main = threading.get_ident()
    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()


def ended_as(number: int) -> int:
    """End this process by the same signal; return a shell's status for it where, as process 1, it lives on."""
    number = signal.SIGTERM if number == STOP else number
    if number != signal.SIGKILL:
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    return 128 + number


def how(status: int) -> str:
    """Say how a process ended in the middle of its work, by its status, negative where a signal ended it."""
    if status >= 0:
        return f"ended with exit status {status} in the middle: something in it called exit"
    short = ", as for want of memory" if status == -signal.SIGKILL else ""
    return f"was ended by {signal.Signals(-status).name} in the middle{short}"
