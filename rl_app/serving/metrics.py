"""Metrics of the server, for Prometheus, counted in memory that its processes share.

prometheus_client writes them; its own counting over several processes costs a sixth of a request
(benchmarks/serve/workers.py), for it packs each number into a file.
"""

from __future__ import annotations

import itertools
import mmap
import os
import threading
from bisect import bisect_left
from functools import partial
from pathlib import Path
from typing import Dict, Iterable, Iterator, List, MutableSequence, Sequence, cast

from prometheus_client import CollectorRegistry, Metric, ProcessCollector
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

CONTENT_TYPE = CONTENT_TYPE_LATEST
OTHER = "other"
PATHS = ("/invocations", "/ping", "/metrics", "/openapi.json", "/execution-parameters", "/", OTHER)
STATUSES = range(100, 600)
LATENCIES_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60)
ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096, 16384)
SLOW, LOST = 0, 1
REQUESTS = 2
# A histogram has its sum first, then how many fell into each bucket, the last of which has no bound.
LATENCY = REQUESTS + len(PATHS) * len(STATUSES)
OF_A_LATENCY = len(LATENCIES_S) + 2
BATCHES = LATENCY + len(PATHS) * OF_A_LATENCY
CELLS = BATCHES + len(ROWS) + 2


class Counts:
    """Numbers that outlive a fork: each of so many processes adds to its own, and any of them sums all."""

    def __init__(self, processes: int = 1) -> None:
        shared = memoryview(mmap.mmap(-1, processes * CELLS * 8)).cast("d")
        self._all = cast(MutableSequence[float], shared)  # numpy takes longer to add to one number

    def of(self, process: int) -> MutableSequence[float]:
        """Give the numbers that a process adds to."""
        return self._all[process * CELLS : (process + 1) * CELLS]

    def total(self) -> List[float]:
        """Sum them up."""
        return [sum(self._all[cell::CELLS]) for cell in range(CELLS)]


class Metrics:
    """Counts requests, their time, the rows of the network's runs, and what went wrong, in one process of several."""

    def __init__(self, counts: Counts, process: int = 0, alone: bool = True) -> None:
        self._cells = counts.of(process)
        self._lock = threading.Lock()
        self._paths = {path: number for number, path in enumerate(PATHS)}
        self._registry = CollectorRegistry()
        self._registry.register(ProcessCollector(registry=None) if alone else Siblings())
        self._registry.register(Shown(counts))

    def request(self, path: str, status: int, seconds: float) -> None:
        """Count an answer; ``path`` is one of PATHS."""
        number = self._paths[path]
        self._cells[REQUESTS + number * len(STATUSES) + status - STATUSES.start] += 1
        latency = LATENCY + number * OF_A_LATENCY
        self._cells[latency] += seconds
        self._cells[latency + 1 + bisect_left(LATENCIES_S, seconds)] += 1

    def slow_client(self) -> None:
        """Count a connection that was closed for its slowness."""
        self._cells[SLOW] += 1

    def lost_line(self) -> None:
        """Count a line of the log that nobody read."""
        self._cells[LOST] += 1

    def batch(self, rows: int) -> None:
        """Count one run of the network."""
        with self._lock:  # a large body's is counted in a thread
            self._cells[BATCHES] += rows
            self._cells[BATCHES + 1 + bisect_left(ROWS, rows)] += 1

    def text(self) -> bytes:
        """Write what Prometheus reads."""
        return generate_latest(self._registry)


class Shown(Collector):
    """The numbers as Prometheus has them."""

    def __init__(self, counts: Counts) -> None:
        self._counts = counts

    def collect(self) -> Iterator[Metric]:
        """Give what has been counted by now."""
        cells = self._counts.total()
        yield CounterMetricFamily("slow_clients", "Connections closed for their slowness.", cells[SLOW])
        yield CounterMetricFamily("log_lines_lost", "Lines of a log that nobody read.", cells[LOST])
        requests = CounterMetricFamily("requests", "Requests answered.", labels=["path", "status"])
        latency = HistogramMetricFamily(
            "request_seconds", "From the request's headers to the last byte of its answer.", labels=["path"]
        )
        for number, path in enumerate(PATHS):
            of_path = cells[REQUESTS + number * len(STATUSES) :][: len(STATUSES)]
            for status, count in zip(STATUSES, of_path):
                if count:
                    requests.add_metric([path, str(status)], count)
            if any(of_path):
                add(latency, [path], LATENCIES_S, cells[LATENCY + number * OF_A_LATENCY :])
        yield requests
        yield latency
        batches = HistogramMetricFamily("batch_rows", "Observations that one run of the network answered.", labels=[])
        add(batches, [], ROWS, cells[BATCHES:])
        yield batches


def add(family: HistogramMetricFamily, labels: Sequence[str], bounds: Sequence[float], cells: Sequence[float]) -> None:
    """Add a histogram, whose buckets Prometheus wants to hold those below them as well."""
    names = [*map(floatToGoString, bounds), "+Inf"]
    family.add_metric(labels, list(zip(names, itertools.accumulate(cells[1 : len(bounds) + 2]))), cells[0])


class Siblings(Collector):
    """What ``/proc`` says of all processes that have the same parent: the sum, but the earliest start."""

    def collect(self) -> Iterable[Metric]:
        """Give what ProcessCollector gives of one."""
        parent = os.getppid()
        numbers = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        each = [ProcessCollector(pid=partial(str, number), registry=None).collect() for number in numbers]
        families: Dict[str, List[Metric]] = {}
        for family in itertools.chain(*each):
            families.setdefault(family.name, []).append(family)
        for name, found in families.items():
            values = [family.samples[0].value for family in found]
            together = Metric(name, found[0].documentation, found[0].type)
            earliest = name == "process_start_time_seconds"
            together.add_sample(found[0].samples[0].name, {}, min(values) if earliest else sum(values))
            yield together
