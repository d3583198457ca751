"""Processes that outlive those that started them: this process takes them over, and ends them."""

from __future__ import annotations

import ctypes
import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Container, List

PR_SET_CHILD_SUBREAPER = 36


def adopt() -> None:
    """Become the parent of all that is started below this process and left alone there, whatever its session."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)


def children() -> List[int]:
    """List the processes whose parent this one is, those included that have ended and are not waited for.

    A thread may end meanwhile; a kernel that does not list them (CONFIG_PROC_CHILDREN) has them left alone.
    """
    found: List[int] = []
    for thread in Path("/proc/self/task").iterdir():
        with suppress(OSError):
            found += map(int, (thread / "children").read_text().split())
    return found


def bury(child: int) -> None:
    """Wait for what has ended, up to the child, for which another waits."""
    while True:
        ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if ended is None or ended.si_pid == child:
            return
        os.waitpid(ended.si_pid, 0)


def end(spared: Container[int] = ()) -> None:
    """Kill the children, and theirs, which are this process's by then, until none is left but the spared."""
    while True:
        strays = [child for child in children() if child not in spared]
        if not strays:
            return
        for stray in strays:
            with suppress(ProcessLookupError):
                os.kill(stray, signal.SIGKILL)
        for stray in strays:
            with suppress(ChildProcessError):
                os.waitpid(stray, 0)
