#!/usr/bin/env python3
"""Whether PPO learns the same with `fast` and without: the mean reward along the iterations, over seeds.

usage: benchmarks/learning_curves.py [EXPERIMENT] [--seeds N ...] [--iterations N] [KEY=VALUE ...]
       (default: cartpole-aws, seeds 0 1 2 3 4, 20 iterations)

Both draw the same random numbers where TensorFlow draws the actions; a seed's curves are then the same until a rounding
error makes one action another. Where numpy draws them, they are two samples of the same from the start. Each row has
the median with the lowest and the highest, the last one for the mean over all iterations. How long it takes is not
looked at: other work may go on.
"""

from __future__ import annotations

import argparse
import re
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Dict, List, Sequence

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import measuring
from benchmarks.steps_per_second import FAST, STOCK

REWARD = re.compile(r"^iteration +\d+  episode_reward_mean: (?P<mean>\S+)")
ROWS = 5
Curves = Dict[str, List[List[float]]]


def main(experiment: str, seeds: Sequence[int], iterations: int, settings: Sequence[str]) -> None:
    """Runs both with every seed, then prints the table."""
    measuring.set_up()
    curves: Curves = {STOCK: [], FAST: []}
    ends = (f"stop.training_iteration={iterations}", "stop.episode_reward_mean=1000000")
    with tempfile.TemporaryDirectory() as store:
        for seed in seeds:
            for kind, found in curves.items():
                job = ("--store", store, "--job", f"{kind.replace('=', '-')}-{seed}")
                printed = measuring.train(experiment, kind, f"seed={seed}", *ends, *settings, *job)
                matched = (REWARD.search(line.text) for line in printed)
                found.append([float(each["mean"]) for each in matched if each])
                measuring.note(f"seed {seed}  {kind}: {found[-1]}")
    print(measuring.markdown(["iteration", *curves, "overlap"], rows(curves, iterations)))


def rows(curves: Curves, iterations: int) -> List[List[str]]:
    """Rows for iterations evenly apart, and for the mean of all."""
    marks = [iterations * number // ROWS for number in range(1, ROWS + 1)]
    at = {str(mark): {kind: [each[mark - 1] for each in found] for kind, found in curves.items()} for mark in marks}
    at["all"] = {kind: [statistics.mean(each) for each in found] for kind, found in curves.items()}
    return [[mark, *(measuring.middle(each, 1) for each in of.values()), overlap(of)] for mark, of in at.items()]


def overlap(of: Dict[str, List[float]]) -> str:
    """Whether the intervals have something in common."""
    stock, fast = of[STOCK], of[FAST]
    return "yes" if min(stock) <= max(fast) and min(fast) <= max(stock) else "no"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiment", nargs="?", default="cartpole-aws")
    parser.add_argument("settings", nargs="*", metavar="KEY=VALUE")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--iterations", type=int, default=20)
    options = parser.parse_intermixed_args()
    main(options.experiment, options.seeds, options.iterations, options.settings)
