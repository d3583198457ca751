#!/usr/bin/env python3
"""Steps of the environment a second in steady training: PPO with `fast` and without, in turns.

usage: benchmarks/steps_per_second.py [EXPERIMENT] [--rounds N] [--steps N] [KEY=VALUE ...]
       (default: cartpole, 5 rounds, 100,000 steps)

Each round is one job of each kind with the same seed, timed by the lines that it prints, from its fourth iteration
on. The ratios are round by round; what else the machine has to do is in their spread.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Dict, List, Sequence

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import measuring
from benchmarks.launcher_overhead import seconds_per_1000_steps

STOCK, FAST = "fast=false", "fast=true"


def main(experiment: str, rounds: int, steps: int, settings: Sequence[str]) -> None:
    """Runs both in turns, then prints the table."""
    measuring.set_up()
    rates: Dict[str, List[float]] = {STOCK: [], FAST: []}
    with tempfile.TemporaryDirectory() as store:
        for turn in range(rounds):
            for kind in (STOCK, FAST) if turn % 2 == 0 else (FAST, STOCK):
                # No reward is as high as this: all steps are taken
                words = (experiment, kind, f"seed={turn}", f"stop.timesteps_total={steps}", *settings)
                goal = "stop.episode_reward_mean=1000000"
                job = ("--store", store, "--job", f"{kind.replace('=', '-')}-{turn}")
                printed = measuring.train(*words, goal, *job)
                rates[kind].append(1000 / seconds_per_1000_steps(printed))
                measuring.note(f"round {turn + 1}  {kind}: {rates[kind][-1]:,.0f} steps/s")
    print(measuring.markdown(["", "steps/s"], [[kind, measuring.middle(found)] for kind, found in rates.items()]))
    times = [fast / stock for fast, stock in zip(rates[FAST], rates[STOCK])]
    print(f"\n{measuring.middle(times, 2)} times as many, round by round")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiment", nargs="?", default="cartpole")
    parser.add_argument("settings", nargs="*", metavar="KEY=VALUE")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=100_000)
    options = parser.parse_intermixed_args()
    main(options.experiment, options.rounds, options.steps, options.settings)
