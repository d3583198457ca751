#!/usr/bin/env python3
"""How long each experiment takes to its goal, over seeds: the table of experiments in docs/training.md.

usage: benchmarks/experiments.py [NAME ...] [--seeds N ...]      (default: all but cartpole-aws, seeds 0 1 2)

Runs `scripts/train NAME --engine process seed=N`, one job at a time, in a store that is thrown away; set-up is
done before. The time is from the command to the line that says solved, where the experiment has a reward as its
goal, else to its end. What else the machine has to do makes it an upper bound.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import measuring
from rl_app.experiments import EXPERIMENTS
from rl_app.machine import detect

LONG = "cartpole-aws"


class Seen(NamedTuple):
    """One job: the seconds to its goal and the environment's steps by then; None where it missed it."""

    seconds: Optional[float]
    steps: Optional[int]


def main(names: List[str], seeds: List[int]) -> None:
    """Runs every experiment with every seed, then prints the table."""
    measuring.set_up()
    rows = []
    for name in names:
        trial = described(name)
        with tempfile.TemporaryDirectory() as store:
            seen = [run(name, trial, seed, store) for seed in seeds]
        rows.append(row(name, trial, seen))
    print(measuring.markdown(["name", "environment", "algorithm", "goal", "reached", "seconds", "steps"], rows))


def described(name: str) -> Dict[str, Any]:
    """The experiment as a trial of this machine."""
    return EXPERIMENTS[name].on(detect())


def goal_of(trial: Dict[str, Any]) -> Optional[float]:
    """The mean reward at which the trial is solved, if it has such a goal."""
    goal: Optional[float] = trial["stop"].get("episode_reward_mean")
    return goal


def run(name: str, trial: Dict[str, Any], seed: int, store: str) -> Seen:
    """One job of the experiment."""
    printed = measuring.train(name, f"seed={seed}", "--store", store, "--job", f"{name}-{seed}")
    if goal_of(trial) is None:
        seen = Seen(printed[-1].after_s, None)
    else:
        solved = measuring.first(measuring.SOLVED, printed)
        seen = Seen(solved.after_s, measuring.steps_of(solved)) if solved else Seen(None, None)
    steps = f", {seen.steps} steps" if seen.steps else ""
    reached = f"{seen.seconds:.1f} s{steps}" if seen.seconds else f"missed in {printed[-1].after_s:.1f} s"
    measuring.note(f"{name} seed {seed}: {reached}")
    return seen


def row(name: str, trial: Dict[str, Any], seen: List[Seen]) -> List[str]:
    """The experiment's line of the table."""
    goal = goal_of(trial)
    seconds = [each.seconds for each in seen if each.seconds is not None]
    steps = [float(each.steps) for each in seen if each.steps is not None]
    return [
        f"`{name}`",
        trial["env"],
        trial["run"],
        "its end" if goal is None else f"mean reward ≥ {goal:g}",
        f"{len(seconds)} of {len(seen)}",
        measuring.middle(seconds),
        measuring.middle(steps),
    ]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=[name for name in EXPERIMENTS if name != LONG], metavar="NAME")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], metavar="N")
    options = parser.parse_intermixed_args()
    main(options.names, options.seeds)
