"""Several processes that answer on one port: forked from the one that has loaded the policy, which looks after them.

They share what is in memory by then, the policy too, and one listening socket: whoever is idle takes the next
connection, and none is lost with a process that dies.
"""

from __future__ import annotations

import os
import signal
import time
import traceback
from dataclasses import dataclass
from typing import Callable, Dict, NamedTuple, Optional

from rl_app.errors import JobError
from rl_app.machine import unless_ignored
from rl_app.stopping.child import Signals, caught_signals, follow
from rl_app.stopping.relay import how

SHORTEST_LIFE_S = 5.0
MOST_SHORT_LIVES = 5
"""After so many processes, one after the other, that ended sooner, there will be no more."""
GRACE_S = 2.0
"""Seconds beyond the time to drain until a process is killed that should have ended."""


class Worker(NamedTuple):
    """A process: which of them it is, and when it began, by the clock that only goes forward."""

    number: int
    began: float


@dataclass
class Workers:
    """Keeps ``number`` processes until a signal; each calls ``answer`` with its number, from 0, its successor too.

    ``say`` is told of each that is replaced.
    """

    answer: Callable[[int], None]
    number: int
    drain_s: float
    say: Callable[[str], None]

    def __post_init__(self) -> None:
        self._alive: Dict[int, Worker] = {}
        self._short_lives = 0

    def run(self) -> None:
        """Serve until a signal, then have each process drain; return when all have ended.

        Raises:
            JobError: they end as soon as they start.
        """
        with caught_signals() as signals:
            try:
                for number in range(self.number):
                    self._start(number)
                while signals.next(60.0) in (None, signal.SIGCHLD):
                    self._replace()
            finally:
                self._end(signals)

    def _start(self, number: int) -> None:
        parent = os.getpid()
        # What comes before the child has handlers of its own waits: it would be taken for the parent's
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT, signal.SIGHUP})
        pid = os.fork()
        if pid == 0:
            self._answer(number, parent)
        self._alive[pid] = Worker(number, time.monotonic())
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)

    def _answer(self, number: int, parent: int) -> None:
        """Be one of the processes, and never return."""
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            for caught in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, *unless_ignored(signal.SIGHUP)):
                signal.signal(caught, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_SETMASK, ())
            follow(parent, signal.SIGTERM)
            self.answer(number)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)

    def _replace(self) -> None:
        for pid in list(self._alive):
            status = self._ended(pid)
            if status is None:
                continue
            worker = self._alive.pop(pid)
            short = time.monotonic() - worker.began < SHORTEST_LIFE_S
            self._short_lives = self._short_lives + 1 if short else 0
            if self._short_lives == MOST_SHORT_LIVES:
                raise JobError(f"no process that serves stays alive: the last one {how(status)}")
            self.say(f"a process that serves {how(status)}; another takes its place")
            self._start(worker.number)

    def _ended(self, pid: int) -> Optional[int]:
        """Return the exit status of a process, negative for a signal; None while it runs."""
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended == 0:
            return None
        return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)

    def _end(self, signals: Signals) -> None:
        self._tell(signal.SIGTERM)
        until = time.monotonic() + self.drain_s + GRACE_S
        while self._still_there():
            if time.monotonic() >= until:
                self._tell(signal.SIGKILL)
            signals.next(max(0.1, until - time.monotonic()))

    def _still_there(self) -> bool:
        self._alive = {pid: worker for pid, worker in self._alive.items() if self._ended(pid) is None}
        return bool(self._alive)

    def _tell(self, number: int) -> None:
        for pid in self._alive:
            os.kill(pid, number)
