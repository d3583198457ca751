#!/usr/bin/env python3
"""What `serve` costs in one process and in several: CPU a request and memory, in turns.

usage: benchmarks/serve/workers.py [MODEL] [--rounds N] [--seconds S] [--workers N ...]

    MODEL        a model's directory; default: that of a job which is trained for it first
    --rounds N   how often each number of processes is measured, in turn; default: 5
    --seconds S  how long each time; default: 5
    --workers N  how many processes answer; default: 1 2 4

The load (Debian's wrk, 32 connections a process) and the processes share this machine's cores, so that requests a
second say little: what grows with a machine's cores is what a request costs. Linear is the CPU a request of one
process; the ratios are medians of those within a round. Memory is that of all processes, shared pages once (PSS).
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Dict, List, NamedTuple, Sequence

import psutil
from run import POST, REPOSITORY, answers, found, median, trained, wait_for

CONNECTIONS = 32
"""To each process: how many it answers in one turn of its loop is part of what a request costs."""


class Cost(NamedTuple):
    """Requests a second, CPU microseconds a request of all processes, and their memory in MB."""

    rate: float
    cpu_us: float
    memory_mb: float


def measured(model: Path, workers: int, seconds: float, script: Path, port: int = 18080) -> Cost:
    """Have so many processes answer for some seconds."""
    process = subprocess.Popen(
        [sys.executable, "-m", "rl_app", "serve", str(model), "--host", "127.0.0.1", "--port", str(port)],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "SERVE_WORKERS": str(workers)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(lambda: answers(port), "it did not come up")
        load(port, workers, 1, script)
        before = cpu_s(process.pid)
        ran = load(port, workers, seconds, script)
        spent = cpu_s(process.pid) - before
        requests = int(found(r"(\d+) requests in", ran))
        memory = sum(each.memory_full_info().pss for each in family(process.pid)) / 2**20
        return Cost(float(found(r"Requests/sec:\s+([\d.]+)", ran)), spent / requests * 1e6, memory)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=40)


def load(port: int, workers: int, seconds: float, script: Path) -> str:
    """Ask as fast as it can for some seconds; return what wrk says, which has to be without errors."""
    words = ["wrk", "-t1", f"-c{CONNECTIONS * workers}", f"-d{seconds:g}s", "-s", str(script)]
    said = subprocess.run([*words, f"http://127.0.0.1:{port}/invocations"], stdout=subprocess.PIPE, text=True).stdout
    if "Socket errors" in said or "Non-2xx" in said:
        raise SystemExit(said)
    return said


def family(pid: int) -> List[psutil.Process]:
    """List the process and its children."""
    parent = psutil.Process(pid)
    return [parent, *parent.children()]


def cpu_s(pid: int) -> float:
    """Return the CPU seconds that they have used."""
    times = [each.cpu_times() for each in family(pid)]
    return sum(each.user + each.system for each in times)


def table(costs: Dict[int, List[Cost]]) -> None:
    """Print the medians, and the ratios to the first."""
    first = costs[min(costs)]
    print("| processes | requests/s | CPU µs a request | of linear, by CPU a request | memory, MB |\n|" + "---|" * 5)
    for workers, mine in costs.items():
        linear = [one.cpu_us / several.cpu_us for one, several in zip(first, mine)]
        spread = f"{median(linear):.2f} ({min(linear):.2f} to {max(linear):.2f})"
        rate, cpu = median(each.rate for each in mine), median(each.cpu_us for each in mine)
        print(f"| {workers} | {rate:.0f} | {cpu:.0f} | {spread} | {median(each.memory_mb for each in mine):.0f} |")


def main(arguments: Sequence[str]) -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(usage=argparse.SUPPRESS, description=__doc__, add_help=False)
    parser.add_argument("model", nargs="?", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        model = (options.model or trained(Path(folder))).resolve()
        script = Path(folder) / "post.lua"
        script.write_text(POST)
        costs: Dict[int, List[Cost]] = {workers: [] for workers in options.workers}
        for _ in range(options.rounds):
            for workers, mine in costs.items():
                mine.append(measured(model, workers, options.seconds, script))
        table(costs)


if __name__ == "__main__":
    if any(word in ("-h", "--help") for word in sys.argv[1:]):
        print(__doc__)
    else:
        main(sys.argv[1:])
