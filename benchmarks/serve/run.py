#!/usr/bin/env python3
"""How fast `serve` is, beside a constant answer on the same stack and beside Flask, gunicorn and TensorFlow.

usage: benchmarks/serve/run.py [MODEL] [--rounds N] [--seconds S] [--image IMAGE] [--hold S]

    MODEL       a model's directory; default: that of a job which is trained for it first
    --rounds N  how often each server is measured, in turn; default: 5
    --seconds S how long each time; default: 5
    --image I   also: from `docker run I serve` to the first 200 on /ping, and the memory, five times
    --hold S    also: at the highest rate for S seconds: errors, and the memory at its start and end

Each server has one core and the load (Debian's wrk) the other, all on loopback. Tables have medians over the rounds,
and the ratios are medians of the ratios within a round. Run it by the environment of scripts/test:
`.venv/bin/python benchmarks/serve/run.py`; Flask and gunicorn come from a lock with hashes, into .tools/.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Sequence

import numpy as np
import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.peers.environment import python_of

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
CONNECTIONS = (1, 64, 256)
BATCH = 1024
ASKED = 300
UP_S = 60.0
SERVER_CORE, LOAD_CORE = "0", "1"
POST = """
wrk.method = "POST"
wrk.body = '{"observations": [[0.01, 0.02, -0.03, 0.04]]}'
wrk.headers["Content-Type"] = "application/json"
"""


class Load(NamedTuple):
    """What wrk measured: requests a second, the 99th percentile of the latency in ms, and what went wrong."""

    rate: float
    p99_ms: float
    errors: int


def commands(model: Path) -> Dict[str, List[str]]:
    """What starts each server; the port is added."""
    python, compared = sys.executable, str(HERE / "compared.py")
    return {
        "constant": [python, compared, "constant", str(model), "--host", "127.0.0.1", "--port"],
        "serve": [python, "-m", "rl_app", "serve", str(model), "--host", "127.0.0.1", "--port"],
        "bare": [python, compared, "bare", str(model), "--host", "127.0.0.1", "--port"],
        "flask": [
            python_of("flask.txt", python),
            "-m",
            "gunicorn",
            "--chdir",
            str(HERE),
            "-w",
            "2",
            "flask_tensorflow:app",
            "-b",
        ],
    }


class Server(NamedTuple):
    """A server that answers."""

    port: int
    process: psutil.Process


@contextmanager
def running(name: str, model: Path) -> Iterator[Server]:
    """One of the servers, on its core, while the block runs; its log goes to a file, as a container's does."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    where = f"127.0.0.1:{port}" if name == "flask" else str(port)
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "MODEL": str(model), "TF_CPP_MIN_LOG_LEVEL": "3"}
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            ["taskset", "-c", SERVER_CORE, *commands(model)[name], where],
            env=environment,
            stdout=log,
            stderr=subprocess.DEVNULL,
        )
        try:
            wait_for(lambda: answers(port), f"{name} did not come up")
            yield Server(port, psutil.Process(process.pid))
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=40)


def wait_for(condition: Callable[[], bool], otherwise: str) -> None:
    """Returns once the condition holds."""
    deadline = time.monotonic() + UP_S
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(otherwise)
        time.sleep(0.01)


def answers(port: int) -> bool:
    """Whether the server answers."""
    try:
        return bool(urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=2).status == 200)
    except OSError:
        return False


def load(port: int, connections: int, seconds: float, script: Path) -> Load:
    """Asks as fast as it can for some seconds."""
    command = ["taskset", "-c", LOAD_CORE, "wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "--latency"]
    ran = subprocess.run(
        [*command, "-s", str(script), f"http://127.0.0.1:{port}/invocations"],
        stdout=subprocess.PIPE,
        universal_newlines=True,
        check=True,
    )
    rate = float(found(r"Requests/sec:\s+([\d.]+)", ran.stdout))
    value, unit = re.findall(r"99%\s+([\d.]+)(us|ms|s)\b", ran.stdout)[0]
    errors = sum(int(number) for number in re.findall(r"(?:connect|read|write|timeout|responses:) (\d+)", ran.stdout))
    return Load(rate, float(value) * {"us": 1e-3, "ms": 1.0, "s": 1e3}[unit], errors)


def found(pattern: str, text: str) -> str:
    """The first group of a pattern that has to be there."""
    match = re.search(pattern, text)
    if match is None:
        raise SystemExit(f"no {pattern} in: {text}")
    return match[1]


def against_others(model: Path, rounds: int, seconds: float, script: Path) -> None:
    """The first table: throughput and tail latency, with one observation a request."""
    seen: Dict[str, Dict[int, List[Load]]] = {
        name: {connections: [] for connections in CONNECTIONS} for name in ("constant", "serve", "flask")
    }
    for _ in range(rounds):
        for connections in CONNECTIONS:
            for name, loads in seen.items():
                with running(name, model) as server:
                    load(server.port, connections, 1, script)
                    loads[connections].append(load(server.port, connections, seconds, script))
    print(f"\none observation a request; medians of {rounds} rounds of {seconds:g} s")
    print("connections  server      requests/s   of constant   of flask   p99 ms   p99 of constant   errors")
    for connections in CONNECTIONS:
        for name, loads in seen.items():
            mine = loads[connections]
            print(
                f"{connections:11}  {name:<9} {median(each.rate for each in mine):12.0f}"
                f" {ratio(mine, seen['constant'][connections], 'rate'):13.2f}"
                f" {ratio(mine, seen['flask'][connections], 'rate'):10.2f}"
                f" {median(each.p99_ms for each in mine):8.2f}"
                f" {ratio(mine, seen['constant'][connections], 'p99_ms'):17.2f}"
                f" {sum(each.errors for each in mine):8}"
            )


def ratio(ours: Sequence[Load], theirs: Sequence[Load], what: str) -> float:
    """The median of the ratios within a round."""
    return median(getattr(mine, what) / getattr(other, what) for mine, other in zip(ours, theirs))


def median(values: Any) -> float:
    return statistics.median(values)


def large_batch(model: Path, rounds: int) -> None:
    """The second table: a batch against the same JSON and one bare forward pass."""
    rows = np.random.default_rng(0).normal(size=(BATCH, 4)).astype(np.float32)
    body = json.dumps({"observations": rows.tolist()}).encode()
    times: Dict[str, List[float]] = {"bare": [], "serve": []}
    for _ in range(rounds):
        for name, medians in times.items():
            with running(name, model) as server:
                medians.append(median(asked(server.port, body)))
    print(f"\na batch of {BATCH}, one after the other; medians of {rounds} rounds of {ASKED}")
    for name, medians in times.items():
        against = median(ours / bare for ours, bare in zip(medians, times["bare"]))
        print(f"{name:<9} {median(medians) * 1e3:8.2f} ms   {against:5.2f} of bare")


def asked(port: int, body: bytes) -> List[float]:
    """Seconds that each of some requests took, on one connection."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    seconds = []
    for _ in range(ASKED):
        began = time.perf_counter()
        connection.request("POST", "/invocations", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        seconds.append(time.perf_counter() - began)
        if answer.status != 200:
            raise SystemExit(f"{answer.status} for a batch of {BATCH}")
    connection.close()
    return seconds


def start_of(image: str, model: Path, rounds: int) -> None:
    """The third table: from `docker run` to the first 200, and the memory then."""
    seconds, megabytes = [], []
    for _ in range(rounds):
        name = f"benchmark-serve-{uuid.uuid4().hex[:8]}"
        began = time.monotonic()
        alone = ("-e", "SERVE_WORKERS=1", "-v", f"{model}:/opt/ml/model:ro")
        docker("run", "-d", "--name", name, "-p", "127.0.0.1::8080", *alone, image, "serve")
        try:
            port = int(docker("port", name, "8080").rpartition(":")[2])
            wait_for(lambda port=port: answers(port), "the container did not answer")  # type: ignore[misc]
            seconds.append(time.monotonic() - began)
            server = docker("exec", name, "cat", "/proc/1/task/1/children").split()[0]
            status = docker("exec", name, "cat", f"/proc/{server}/status")
            megabytes.append(int(found(r"VmRSS:\s+(\d+)", status)) / 1024)
        finally:
            docker("rm", "-f", name)
    spread = f"{min(seconds):.2f} to {max(seconds):.2f}"
    print(f"\n`docker run {image} serve` to the first 200 on /ping: median {median(seconds):.2f} s ({spread})")
    print(f"resident memory then: median {median(megabytes):.0f} MB")


def docker(*words: str) -> str:
    """What a docker command prints."""
    return subprocess.run(
        ["docker", *words], stdout=subprocess.PIPE, universal_newlines=True, check=True
    ).stdout.strip()


def held(model: Path, seconds: float, script: Path) -> None:
    """The fourth: the highest rate for minutes."""
    with running("serve", model) as server:
        load(server.port, 64, 10, script)
        before = server.process.memory_info().rss / 2**20
        seen = load(server.port, 64, seconds, script)
        after = server.process.memory_info().rss / 2**20
    requests = seen.rate * seconds
    print(f"\nheld for {seconds:g} s at 64 connections: {seen.rate:.0f} requests/s, {requests:.0f} requests")
    print(f"errors: {seen.errors}; resident memory: {before:.1f} MB at its start, {after:.1f} MB at its end")


def trained(folder: Path) -> Path:
    """The model of a job that is trained for it."""
    words = ["train", "cartpole", "seed=1", "--store", str(folder), "--job", "served"]
    subprocess.run([sys.executable, "-m", "rl_app", "local", *words], cwd=str(REPOSITORY), check=True)
    model = folder / "model"
    shutil.unpack_archive(str(folder / "served" / "output" / "model.tar.gz"), str(model))
    return model


def main() -> None:
    parser = argparse.ArgumentParser(usage=argparse.SUPPRESS, description=__doc__, add_help=False)
    parser.add_argument("model", nargs="?", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--image")
    parser.add_argument("--hold", type=float)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model = (options.model or trained(Path(folder))).resolve()
        script = Path(folder) / "post.lua"
        script.write_text(POST)
        against_others(model, options.rounds, options.seconds, script)
        large_batch(model, options.rounds)
        if options.image:
            start_of(options.image, model, options.rounds)
        if options.hold:
            held(model, options.hold, script)


if __name__ == "__main__":
    if any(word in ("-h", "--help") for word in sys.argv[1:]):
        print(__doc__)
    else:
        main()
