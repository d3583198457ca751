"""The access log: a line of JSON a request."""

from __future__ import annotations

import asyncio
import itertools
import os
import select
import stat
import sys
from datetime import datetime, timezone
from typing import Callable, Dict, List, Optional, Sequence

import orjson

ABANDONED = 499
"""The status of a request whose client went away, as nginx has it."""
LINES_KEPT = 10_000
"""Lines of the log that wait where nobody reads it, some 2 MB."""


class AccessLog:
    """Hands its lines to a file descriptor, once a turn of the event loop at most.

    Args:
        lost: is called for each line that nobody read.
        descriptor: where the log goes.
    """

    def __init__(self, lost: Callable[[], None], descriptor: int = 1) -> None:
        nonblocking = opened_nonblocking(descriptor)
        self._descriptor = descriptor if nonblocking is None else nonblocking
        self._nonblocking = nonblocking is not None
        self._lines: List[bytes] = []
        self._unread = False
        self._lost = lost

    def request(self, method: str, path: str, status: int, seconds: float, received: int) -> None:
        """Note an answer. SageMaker asks for /ping every few seconds: only its failures are logged."""
        if path == "/ping" and status == 200:
            return
        self._write(
            {
                "time": datetime.now(timezone.utc),
                "method": method,
                "path": path[:256],
                "status": status,
                "ms": round(seconds * 1e3, 3),
                "bytes": received,
            }
        )

    def closed(self, client: str, why: str) -> None:
        """Note a connection that the server closed."""
        self._write({"time": datetime.now(timezone.utc), "closed": client, "why": why})

    def flush(self) -> None:
        """Write the lines that are due; a log that cannot be written is no reason to stop serving.

        Where nobody reads it, the lines wait for their reader.
        """
        unread = False
        while self._lines and not unread:
            count = whole_lines(self._lines)
            lines = b"".join(self._lines[:count])
            rest = lines[self._written(lines) :]
            self._lines[:count] = [rest] if rest else []
            unread = self._nonblocking and bool(rest)
        if unread != self._unread:
            self._unread = unread
            self._await_reader(unread)

    def _written(self, lines: bytes) -> int:
        try:
            return os.write(self._descriptor, lines)
        except BlockingIOError:
            return 0 if self._nonblocking else len(lines)
        except OSError:
            return len(lines)

    def _await_reader(self, unread: bool) -> None:
        loop = asyncio.get_running_loop()
        if unread:
            loop.add_writer(self._descriptor, self.flush)
        else:
            loop.remove_writer(self._descriptor)

    def _write(self, line: Dict[str, object]) -> None:
        if self._unread and len(self._lines) >= LINES_KEPT:
            self._lost()
            return
        self._lines.append(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
        if len(self._lines) == 1:
            asyncio.get_running_loop().call_soon(self.flush)


def whole_lines(lines: Sequence[bytes]) -> int:
    """Return how many of the lines, at least one, a pipe takes as a whole: other processes write to it, too."""
    sizes = itertools.accumulate(map(len, lines))
    return max(1, sum(1 for _ in itertools.takewhile(lambda size: size <= select.PIPE_BUF, sizes)))


def opened_nonblocking(descriptor: int) -> Optional[int]:
    """Open the same pipe or terminal so that writing never waits for its reader; None where there is no other way.

    It is opened anew because whoever else writes to it, as standard error may, has not asked for that.
    """
    try:
        mode = os.fstat(descriptor).st_mode
        if not (stat.S_ISFIFO(mode) or stat.S_ISCHR(mode)):
            return None
        return os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:
        return None


def trouble(text: str) -> None:
    """Say what went wrong here, on standard error."""
    print(text, file=sys.stderr, flush=True)
