#!/usr/bin/env python3
"""What a server of several processes costs beside as many servers of one: CPU a request and memory, in turns.

usage: benchmarks/serve/workers.py [MODEL] [--rounds N] [--seconds S] [--workers N ...]

    MODEL        a model's directory; default: that of a job which is trained for it first
    --rounds N   how often each is measured, in turn; default: 5
    --seconds S  how long each time; default: 5
    --workers N  how many processes answer, beside one alone; default: 2 4

The load (a wrk of Debian's with 32 connections for each process) and the processes share this machine's cores, so that
requests a second say little: what grows with a machine's cores is what a request costs. Linear is what it costs one
process that has the cores to itself; beside it is what it costs servers of one process each, that have as many cores
and the same load and know nothing of each other. The order changes from round to round, and the ratios are medians of
those within a round: where both are one process, they are what the noise is. Memory is that of all processes, shared
pages once (PSS).
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Dict, List, NamedTuple, Sequence, Tuple

import psutil
from run import POST, REPOSITORY, answers, found, median, trained, wait_for

from benchmarks.measuring import middle  # which `run` has put on the path

FIRST_PORT = 18080
CONNECTIONS = 32
"""To each process: how many it answers in one turn of its loop is part of what a request costs."""


class Cost(NamedTuple):
    """Requests a second, CPU microseconds a request of all processes, and their memory in MB."""

    rate: float
    cpu_us: float
    memory_mb: float


class Pair(NamedTuple):
    """Of servers of one process each, and of one server with as many."""

    apart: Cost
    one: Cost


def measured(model: Path, servers: int, workers: int, seconds: float, script: Path) -> Cost:
    """Have so many servers of so many processes answer for some seconds."""
    ports = [FIRST_PORT + number for number in range(servers)]
    processes = [started(model, port, workers) for port in ports]
    try:
        for port in ports:
            wait_for(partial(answers, port), "it did not come up")
        asked = ports * workers  # a wrk for each process
        load(asked, 1, script)
        before = cpu_s(processes)
        requests, rate = load(asked, seconds, script)
        spent = cpu_s(processes) - before
        memory = sum(each.memory_full_info().pss for each in family(processes)) / 2**20
        return Cost(rate, spent / requests * 1e6, memory)
    finally:
        for process in processes:
            process.send_signal(signal.SIGTERM)
        for process in processes:
            process.wait(timeout=40)


def shape(workers: int, kind: str) -> Tuple[int, int]:
    """Return how many servers there are for so many processes, and of how many each is."""
    return (workers, 1) if kind == "apart" else (1, workers)


def started(model: Path, port: int, workers: int) -> subprocess.Popen[bytes]:
    """Start a server."""
    return subprocess.Popen(
        [sys.executable, "-m", "rl_app", "serve", str(model), "--host", "127.0.0.1", "--port", str(port)],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "SERVE_WORKERS": str(workers)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def load(ports: Sequence[int], seconds: float, script: Path) -> Tuple[int, float]:
    """Ask each as fast as it can for some seconds, without an error; return the requests, and those a second."""
    words = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds:g}s", "-s", str(script)]
    asking = [
        subprocess.Popen([*words, f"http://127.0.0.1:{port}/invocations"], stdout=subprocess.PIPE, text=True)
        for port in ports
    ]
    said = [each.communicate()[0] for each in asking]
    for each in said:
        if "Socket errors" in each or "Non-2xx" in each:
            raise SystemExit(each)
    rates = [float(found(r"Requests/sec:\s+([\d.]+)", each)) for each in said]
    return sum(int(found(r"(\d+) requests in", each)) for each in said), sum(rates)


def family(processes: Sequence[subprocess.Popen[bytes]]) -> List[psutil.Process]:
    """List the processes and their children."""
    parents = [psutil.Process(each.pid) for each in processes]
    return [each for parent in parents for each in (parent, *parent.children())]


def cpu_s(processes: Sequence[subprocess.Popen[bytes]]) -> float:
    """Return the CPU seconds that they and their children have used."""
    times = [each.cpu_times() for each in family(processes)]
    return sum(each.user + each.system for each in times)


def table(costs: Dict[int, List[Pair]]) -> None:
    """Print the medians, and the ratios."""
    print("| processes | requests/s | CPU µs a request: servers of one | one server | ratio | of linear | memory, MB |")
    print("|" + "---|" * 7)
    alone = [pair.apart.cpu_us for pair in costs[1]]
    for workers, pairs in costs.items():
        beside = middle([pair.apart.cpu_us / pair.one.cpu_us for pair in pairs], 2)
        linear = middle([cpu_us / pair.one.cpu_us for cpu_us, pair in zip(alone, pairs)], 2)
        apart, one = median(pair.apart.cpu_us for pair in pairs), median(pair.one.cpu_us for pair in pairs)
        rate = median(pair.one.rate for pair in pairs)
        memory = " and ".join(f"{median(each.memory_mb for each in kind):.0f}" for kind in zip(*pairs))
        print(f"| {workers} | {rate:.0f} | {apart:.0f} | {one:.0f} | {beside} | {linear} | {memory} |")


def main(arguments: Sequence[str]) -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(usage=argparse.SUPPRESS, description=__doc__, add_help=False)
    parser.add_argument("model", nargs="?", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--workers", type=int, nargs="+", default=[2, 4])
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        model = (options.model or trained(Path(folder))).resolve()
        script = Path(folder) / "post.lua"
        script.write_text(POST)
        costs: Dict[int, List[Pair]] = {workers: [] for workers in dict.fromkeys([1, *options.workers])}
        for number in range(options.rounds):
            turns = [(workers, kind) for workers in costs for kind in Pair._fields]
            costs_of = {
                (workers, kind): measured(model, *shape(workers, kind), options.seconds, script)
                for workers, kind in (turns if number % 2 == 0 else reversed(turns))
            }
            for workers, pairs in costs.items():
                pairs.append(Pair(*(costs_of[workers, kind] for kind in Pair._fields)))
        table(costs)


if __name__ == "__main__":
    if any(word in ("-h", "--help") for word in sys.argv[1:]):
        print(__doc__)
    else:
        main(sys.argv[1:])
