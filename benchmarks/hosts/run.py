#!/usr/bin/env python3
"""Steps a second of one job on 1, 2, 4 and 8 hosts, against stock RLlib on a cluster made by `ray start`, in turns.

usage: benchmarks/hosts/run.py [--step-ms MS] [--hosts N ...] [--rounds N]      (default: 5 ms; 1 2 4 8 hosts; 1 round)

The hosts are containers of this machine, with two workers each, whose environment waits for MS a step: linear is
2000 / MS steps a second a host. Timed by the lines of the iterations from the fourth on; from the command to the first
iteration, too. On two cores eight hosts with 5 ms are at the edge of what the cores can do: 20 ms move it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Sequence, Tuple

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks import measuring
from benchmarks.hosts.settings import WORKERS_A_HOST, config
from benchmarks.launcher_overhead import seconds_per_1000_steps
from benchmarks.measuring import Line

HERE = Path(__file__).parent
IMAGE = "sagemaker-rllib:cpu"
ITERATIONS = 12
OURS, PLAIN = "scripts/train --hosts", "ray start, stock RLlib"


class Result(NamedTuple):
    """Steps a second, and seconds from the command to the first iteration."""

    rate: float
    first_s: float


def main(step_ms: float, hosts: Sequence[int], rounds: int) -> None:
    """Runs both on each number of hosts, then prints the table."""
    subprocess.run([str(measuring.REPOSITORY / "scripts" / "build")], check=True, stdout=subprocess.DEVNULL)
    found: Dict[Tuple[str, int], List[Result]] = {}
    for turn in range(rounds):
        for number in hosts:
            for name in (OURS, PLAIN) if turn % 2 == 0 else (PLAIN, OURS):
                printed = (ours if name == OURS else plain)(number, step_ms / 1000)
                found.setdefault((name, number), []).append(result(printed))
                measuring.note(f"round {turn + 1}  {number} hosts  {name}: {found[name, number][-1]}")
    print(f"{step_ms:g} ms a step")
    header = ["hosts", "", "steps/s", "of linear", "first iteration, s"]
    print(measuring.markdown(header, list(rows(found, 1000 * WORKERS_A_HOST / step_ms))))


def rows(found: Dict[Tuple[str, int], List[Result]], linear: float) -> Iterator[List[str]]:
    """Yields a row for each; ``linear``: steps a second of a host whose workers do nothing but wait."""
    for (name, number), results in found.items():
        rates = [each.rate for each in results]
        share = measuring.middle([rate / (number * linear) for rate in rates], 2)
        first = measuring.middle([each.first_s for each in results], 1)
        yield [str(number), name, measuring.middle(rates), share, first]


def result(printed: List[Line]) -> Result:
    """What the lines of a run tell."""
    begun = measuring.first(measuring.FIRST_ITERATION, printed)
    assert begun is not None, [line.text for line in printed[-20:]]
    return Result(1000 / seconds_per_1000_steps(printed), begun.after_s)


def ours(hosts: int, step_s: float) -> List[Line]:
    """Runs a job of so many hosts."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "source"
        source.mkdir()
        (source / "envs.py").write_text((HERE / "slow_envs.py").read_text())
        words = [f"config.{key}={json.dumps(value)}" for key, value in config(hosts, step_s).items() if key != "seed"]
        words += ["cartpole", "env=Waiting", "seed=1", "stop.episode_reward_mean=101", "config.lr_schedule=null"]
        words += [
            f"stop.training_iteration={ITERATIONS}",
            "--source",
            str(source),
            "--job",
            f"hosts-{uuid.uuid4().hex}",
        ]
        return measuring.lines([measuring.TRAIN, "--engine", "docker", "--hosts", str(hosts), *words])


def plain(hosts: int, step_s: float) -> List[Line]:
    """Makes the cluster by hand, and runs stock RLlib on it."""
    network = f"hosts-{uuid.uuid4().hex[:8]}"
    names = [f"{network}-{number}" for number in range(hosts)]
    docker("network", "create", network)
    try:
        for number, name in enumerate(names):
            joins = ["--head", "--redis-port=6379"] if number == 0 else [f"--address={names[0]}:6379"]
            started = ["ray", "start", "--block", "--redis-password=plain", "--num-cpus=3", *joins]
            given = ["--name", name, "--network", network, "--shm-size", "1g", "-v", f"{HERE}:/plain:ro"]
            again = f"until {' '.join(started)}; do sleep 0.2; done"  # the head may not be there yet
            docker("run", "-d", *given, "--entrypoint", "sh", IMAGE, "-c", again)
        driver = ["python", "/plain/plain.py", str(hosts), str(step_s), str(ITERATIONS)]
        return measuring.lines(["docker", "exec", names[0], *driver])
    finally:
        docker("rm", "-f", "-v", *names)
        docker("network", "rm", network)


def docker(*words: str) -> None:
    """Runs a docker command."""
    subprocess.run(["docker", *words], check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--step-ms", type=float, default=5.0)
    parser.add_argument("--hosts", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--rounds", type=int, default=1)
    options = parser.parse_args()
    main(options.step_ms, options.hosts, options.rounds)
