"""What the server says of its work: an access log of JSON lines, and Prometheus's metrics."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from datetime import datetime, timezone
from typing import Dict, List, Tuple

import orjson
from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

LATENCIES_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60)
ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096, 16384)
CONTENT_TYPE = CONTENT_TYPE_LATEST
ABANDONED = 499
"""The status in the log of a request whose client went away, as nginx has it."""


class Journal:
    """Notes every request, and hands the lines to the log once a turn of the event loop at most.

    Args:
        descriptor: the file descriptor that the log goes to.
    """

    def __init__(self, descriptor: int = 1) -> None:
        self._descriptor = descriptor
        self._lines: List[bytes] = []
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
        """Writes the lines that are due; a log that cannot be written is no reason to stop serving."""
        lines, self._lines = b"".join(self._lines), []
        with suppress(OSError):
            os.write(self._descriptor, lines)

    def _say(self, line: Dict[str, object]) -> bool:
        self._lines.append(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
        return len(self._lines) == 1


def trouble(text: str) -> None:
    """Says what went wrong here, on standard error."""
    print(text, file=sys.stderr, flush=True)
