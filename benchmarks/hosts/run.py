#!/usr/bin/env python3
"""Steps a second of one job on 1, 2, 4 and 8 hosts, against stock RLlib on a cluster made by `ray start`, in turns.

usage: benchmarks/hosts/run.py [--step-ms MS] [--hosts N ...] [--rounds N] [--slower FACTOR] [--run ALGORITHM]
                               [--ours] [KEY=VALUE ...]        (default: 5 ms; 1 2 4 8 hosts; 1 round; PPO)

The hosts are containers of this machine, with two workers each, whose environment waits for MS a step: linear is
2000 / MS steps a second a host. Timed by the lines of the iterations from the fourth on; from the command to the first
iteration, too. On two cores eight hosts with 5 ms are at the edge of what the cores can do: 20 ms move it.

With --slower a step takes FACTOR times as long on one host of several, and linear is what is left: 3.25 hosts of 4
where it is 4. KEY=VALUE is of RLlib's config, VALUE is JSON. --ours leaves out stock RLlib.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple, Tuple

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks import measuring
from benchmarks.hosts import by_hand
from benchmarks.hosts.settings import WORKERS_A_HOST, config
from benchmarks.launcher_overhead import seconds_per_1000_steps
from benchmarks.measuring import Line

HERE = Path(__file__).parent
ITERATIONS = 12
OURS, PLAIN = "scripts/train --hosts", "ray start, stock RLlib"


class Result(NamedTuple):
    """Steps a second, and seconds from the command to the first iteration."""

    rate: float
    first_s: float


def main(options: argparse.Namespace) -> None:
    """Runs both on each number of hosts, then prints the table."""
    subprocess.run([str(measuring.REPOSITORY / "scripts" / "build")], check=True, stdout=subprocess.DEVNULL)
    more = {key: json.loads(value) for key, _, value in (word.partition("=") for word in options.words)}
    names = [OURS] if options.ours else [OURS, PLAIN]
    found: Dict[Tuple[str, int], List[Result]] = {}
    for turn in range(options.rounds):
        for number in options.hosts:
            given = {**config(number, options.run, options.step_ms / 1000, options.slower), **more}
            for name in names if turn % 2 == 0 else names[::-1]:
                printed = (ours if name == OURS else plain)(number, options.run, given)
                found.setdefault((name, number), []).append(result(printed))
                measuring.note(f"round {turn + 1}  {number} hosts  {name}: {found[name, number][-1]}")
    slow = [f"{options.slower:g} times that on one host"] if options.slower != 1 else []
    print(", ".join([options.run, f"{options.step_ms:g} ms a step", *slow, *options.words]))
    header = ["hosts", "", "steps/s", "of linear", "first iteration, s"]
    print(measuring.markdown(header, list(rows(found, 1000 * WORKERS_A_HOST / options.step_ms, options.slower))))


def rows(found: Dict[Tuple[str, int], List[Result]], linear: float, slower: float) -> Iterator[List[str]]:
    """Yields a row for each; ``linear``: steps a second of a host whose workers do nothing but wait."""
    for (name, number), results in found.items():
        rates = [each.rate for each in results]
        hosts = number - 1 + 1 / slower if number > 1 else 1
        share = measuring.middle([rate / (hosts * linear) for rate in rates], 2)
        first = measuring.middle([each.first_s for each in results], 1)
        yield [str(number), name, measuring.middle(rates), share, first]


def result(printed: List[Line]) -> Result:
    """What the lines of a run tell."""
    begun = measuring.first(measuring.FIRST_ITERATION, printed)
    assert begun is not None, [line.text for line in printed[-20:]]
    return Result(1000 / seconds_per_1000_steps(printed), begun.after_s)


def ours(hosts: int, run: str, given: Dict[str, Any]) -> List[Line]:
    """Runs a job of so many hosts."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "source"
        source.mkdir()
        (source / "envs.py").write_text((HERE / "slow_envs.py").read_text())
        words = [f"config.{key}={json.dumps(value)}" for key, value in given.items() if key != "seed"]
        words = ["cartpole", f"run={run}", "config={}", *words, "env=Waiting", "seed=1"]
        words += ["stop.episode_reward_mean=101", f"stop.training_iteration={ITERATIONS}", "--source", str(source)]
        job = ["--job", f"hosts-{uuid.uuid4().hex}"]
        return measuring.lines([measuring.TRAIN, "--engine", "docker", "--hosts", str(hosts), *words, *job])


def plain(hosts: int, run: str, given: Dict[str, Any]) -> List[Line]:
    """Makes the cluster by hand, and runs stock RLlib on it."""
    with by_hand.made(hosts) as names:
        driver = ["python", "/plain/plain.py", str(hosts), str(ITERATIONS), run, json.dumps(given)]
        return measuring.lines(["docker", "exec", names[0], *driver])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*", metavar="KEY=VALUE")
    parser.add_argument("--step-ms", type=float, default=5.0)
    parser.add_argument("--hosts", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--slower", type=float, default=1.0)
    parser.add_argument("--run", default="PPO")
    parser.add_argument("--ours", action="store_true")
    main(parser.parse_args())
