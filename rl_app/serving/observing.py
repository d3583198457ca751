"""What is measured and logged of each request: Prometheus' metrics, and a JSON line without bodies."""

from __future__ import annotations

import math
import os
import queue
import threading
import time
from bisect import bisect_left
from contextlib import suppress
from functools import lru_cache
from typing import Callable, Dict, Iterator, List, Optional, Sequence, Tuple

import orjson
from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from rl_app.serving.http import Exchange

SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0)
OBSERVATIONS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096, 16384)
FLUSH_S = 0.2
LONGEST_PATH = 200
# Lines that wait while nobody reads the log; more are dropped and counted, so that the log cannot stop the server
CHUNKS_WAITING = 50


class Histogram:
    """Counts of values by upper bound. Prometheus' own takes a lock and several microseconds a value."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def add(self, value: float) -> None:
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def family(self, name: str, text: str) -> Metric:
        buckets, total = [], 0
        for bound, count in zip((*self._bounds, math.inf), self._counts):
            total += count
            buckets.append(("+Inf" if bound == math.inf else str(float(bound)), total))
        return HistogramMetricFamily(name, text, buckets=buckets, sum_value=self._sum)


class Metrics(Collector):
    """The counts of one server; the event loop alone writes them."""

    def __init__(self, connections: Callable[[], int], dropped_lines: Callable[[], int]) -> None:
        self._connections, self._dropped_lines = connections, dropped_lines
        self._requests: Dict[Tuple[str, int], int] = {}
        self._seconds = Histogram(SECONDS)
        self._observations = Histogram(OBSERVATIONS)
        self._runs = Histogram(OBSERVATIONS)
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)

    def add(self, route: str, exchange: Exchange) -> None:
        key = (route, exchange.response.status)
        self._requests[key] = self._requests.get(key, 0) + 1
        if route == "/invocations":
            self._seconds.add(exchange.seconds)
            if exchange.response.observations:
                self._observations.add(exchange.response.observations)

    def add_run(self, observations: int) -> None:
        self._runs.add(observations)

    def text(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return bytes(generate_latest(self._registry))

    def collect(self) -> Iterator[Metric]:
        requests = CounterMetricFamily("serve_requests", "Requests answered.", labels=["path", "status"])
        for (route, status), count in self._requests.items():
            requests.add_metric([route, str(status)], count)
        yield requests
        yield self._seconds.family("serve_request_seconds", "From a whole request to its answer, /invocations.")
        yield self._observations.family("serve_request_observations", "Observations in one request.")
        yield self._runs.family("serve_batch_observations", "Observations in one run of the network.")
        yield GaugeMetricFamily("serve_connections", "Connections open.", self._connections())
        yield CounterMetricFamily("serve_log_lines_dropped", "Lines of the log not written.", self._dropped_lines())


class AccessLog:
    """JSON lines, collected in the event loop and written by a thread, which alone waits for a slow reader."""

    def __init__(self, descriptor: int) -> None:
        self.dropped = 0
        self._descriptor = descriptor
        self._lines: List[bytes] = []
        self._chunks: queue.Queue[Optional[bytes]] = queue.Queue(CHUNKS_WAITING)
        self._writer = threading.Thread(target=self._write, name="access-log", daemon=True)
        self._writer.start()

    def event(self, name: str, **facts: object) -> None:
        """Logs what is no request."""
        line = {"time": round(time.time(), 3), "event": name, **facts}
        self._lines.append(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))

    def add(self, exchange: Exchange) -> None:
        """Logs a request: who asked for what, and how large, how long and how it was answered."""
        request, response = exchange.request, exchange.response
        self._lines.append(
            b'{"time":%.3f,%b,"status":%d,"ms":%.3f,"bytes_in":%d,"bytes_out":%d,"observations":%d}\n'
            % (
                time.time(),
                _subject(exchange.client, request.method if request else None, request.path if request else None),
                response.status,
                exchange.seconds * 1000,
                len(request.body) if request else 0,
                len(response.body),
                response.observations,
            )
        )

    def flush(self) -> None:
        """Hands what was collected to the writer; does not wait."""
        if not self._lines:
            return
        lines, self._lines = self._lines, []
        try:
            self._chunks.put_nowait(b"".join(lines))
        except queue.Full:
            self.dropped += len(lines)

    def close(self, seconds: float = 2.0) -> None:
        """Writes what is left, for at most ``seconds``."""
        self.flush()
        if self._writer.is_alive():
            with suppress(queue.Full):
                self._chunks.put(None, timeout=seconds)
                self._writer.join(seconds)

    def _write(self) -> None:
        while True:
            chunk = self._chunks.get()
            if chunk is None:
                return
            try:
                while chunk:
                    chunk = chunk[os.write(self._descriptor, chunk) :]
            except OSError:  # nobody reads the log any more, which is no reason not to serve
                return


@lru_cache(maxsize=256)
def _subject(client: str, method: Optional[str], path: Optional[str]) -> bytes:
    facts = {"client": client, "method": method, "path": path and path[:LONGEST_PATH]}
    return orjson.dumps(facts)[1:-1]
