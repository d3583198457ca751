"""What the server says of its work: an access log of JSON lines, and Prometheus's metrics."""

from __future__ import annotations

import asyncio
import os
import stat
import sys
from datetime import datetime, timezone
from typing import Dict, List, Optional, Tuple

import orjson
from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

LATENCIES_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60)
ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096, 16384)
CONTENT_TYPE = CONTENT_TYPE_LATEST
ABANDONED = 499
"""The status in the log of a request whose client went away, as nginx has it."""
LINES_KEPT = 10_000
"""Lines of the log that wait where nobody reads it, some 2 MB."""


class Journal:
    """Notes every request, and hands the lines to the log once a turn of the event loop at most.

    Args:
        descriptor: the file descriptor that the log goes to.
    """

    def __init__(self, descriptor: int = 1) -> None:
        nonblocking = opened_nonblocking(descriptor)
        self._descriptor = descriptor if nonblocking is None else nonblocking
        self._nonblocking = nonblocking is not None
        self._lines: List[bytes] = []
        self._unread = False
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._requests = Counter("requests", "Requests answered.", ["path", "status"], registry=self._registry)
        self._latency = Histogram(
            "request_seconds",
            "From the request's headers to the last byte of its answer.",
            ["path"],
            buckets=LATENCIES_S,
            registry=self._registry,
        )
        self._rows = Histogram(
            "batch_rows",
            "Observations that one run of the network answered.",
            buckets=ROWS,
            registry=self._registry,
        )
        self._closed = Counter("slow_clients", "Connections closed for their slowness.", registry=self._registry)
        self._lost = Counter("log_lines_lost", "Lines of a log that nobody read.", registry=self._registry)
        # prometheus_client takes longer to find a child by its labels than to count
        self._counters: Dict[Tuple[str, int], Counter] = {}
        self._timers: Dict[str, Histogram] = {}

    def request(self, method: str, path: str, known: str, status: int, seconds: float, received: int) -> bool:
        """Notes an answer; returns whether :meth:`flush` has to be called, which is so for the first of a turn.

        ``known`` is the path as metrics have it, of which there are only so many. SageMaker asks for /ping every
        few seconds: only its failures are logged.
        """
        counter = self._counters.get((known, status))
        if counter is None:
            counter = self._counters[known, status] = self._requests.labels(known, str(status))
        counter.inc()
        timer = self._timers.get(known)
        if timer is None:
            timer = self._timers[known] = self._latency.labels(known)
        timer.observe(seconds)
        if known == "/ping" and status == 200:
            return False
        line = {
            "time": datetime.now(timezone.utc),
            "method": method,
            "path": path[:256],
            "status": status,
            "ms": round(seconds * 1e3, 3),
            "bytes": received,
        }
        return self._say(line)

    def slow(self, client: str, why: str) -> bool:
        """Notes a connection that was closed for its slowness; returns what :meth:`request` does."""
        self._closed.inc()
        return self._say({"time": datetime.now(timezone.utc), "closed": client, "why": why})

    def batch(self, rows: int) -> None:
        """Notes one run of the network."""
        self._rows.observe(rows)

    def metrics(self) -> bytes:
        """What Prometheus reads."""
        return generate_latest(self._registry)

    def flush(self) -> None:
        """Writes the lines that are due; a log that cannot be written is no reason to stop serving.

        Where nobody reads it, the lines wait for their reader.
        """
        lines = b"".join(self._lines)
        try:
            written = os.write(self._descriptor, lines)
        except BlockingIOError:
            written = 0
        except OSError:
            written = len(lines)
        unread = self._nonblocking and written < len(lines)
        self._lines = [lines[written:]] if unread else []
        if unread != self._unread:
            self._unread = unread
            self._await_reader(unread)

    def _await_reader(self, unread: bool) -> None:
        loop = asyncio.get_running_loop()
        if unread:
            loop.add_writer(self._descriptor, self.flush)
        else:
            loop.remove_writer(self._descriptor)

    def _say(self, line: Dict[str, object]) -> bool:
        if self._unread and len(self._lines) >= LINES_KEPT:
            self._lost.inc()
            return False
        self._lines.append(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
        return len(self._lines) == 1


def opened_nonblocking(descriptor: int) -> Optional[int]:
    """The same pipe or terminal, opened so that writing never waits for its reader; None where there is no other way.

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
    """Says what went wrong here, on standard error."""
    print(text, file=sys.stderr, flush=True)
