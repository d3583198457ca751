#!/usr/bin/env python3
"""CartPole-v1 from the command to 475: `scripts/train --engine process` and Stable-Baselines3's PPO, in turns.

usage: benchmarks/against_sb3.py [SEED ...]      (default: 0 1 2 3 4)

Stable-Baselines3 has the RL zoo's settings, and an environment of its own in .tools/, from a lock with hashes
(PyTorch, so a few GB the first time). Set-up is not counted. Both end once the mean of the last 100 episodes of the
training is 475, or have missed it after 500,000 steps or 300 seconds.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Callable, Dict, List, NamedTuple, Optional

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import measuring
from benchmarks.measuring import Line
from benchmarks.peers.environment import python_of

GOAL = 475
MOST_STEPS, DEADLINE_S = 500_000, 300.0
PROGRAM = measuring.REPOSITORY / "benchmarks" / "peers" / "sb3_zoo.py"


class Result(NamedTuple):
    """The seconds to the first iteration and to the goal, and the steps by then; None where it missed it."""

    first: float
    solved: Optional[float]
    steps: Optional[int]


def main(seeds: List[int]) -> None:
    """Runs both with every seed, then prints the medians."""
    measuring.set_up()
    python = python_of("peers.txt", "3.11")
    with tempfile.TemporaryDirectory() as store:
        runs: Dict[str, Callable[[int], List[Line]]] = {
            "scripts/train": lambda seed: measuring.train(
                *(f"seed={seed}", "--store", store, "--job", f"seed-{seed}"), deadline_s=DEADLINE_S
            ),
            "Stable-Baselines3": lambda seed: measuring.lines(
                [python, str(PROGRAM), str(seed), str(GOAL), str(MOST_STEPS)], DEADLINE_S
            ),
        }
        results = compared(runs, seeds)
    print(measuring.markdown(["", "reached", "first iteration, s", "475, s", "steps"], list(rows(results))))
    ours, theirs = results.values()
    ratios = [a.solved / b.solved for a, b in zip(ours, theirs) if a.solved and b.solved]
    print(f"\nscripts/train takes {measuring.middle(ratios, 2)} times as long, seed by seed")


def compared(runs: Dict[str, Callable[[int], List[Line]]], seeds: List[int]) -> Dict[str, List[Result]]:
    """Each run with each seed, one at a time; who comes first changes from seed to seed."""
    results: Dict[str, List[Result]] = {name: [] for name in runs}
    for turn, seed in enumerate(seeds):
        for name in list(runs) if turn % 2 == 0 else list(reversed(list(runs))):
            found = result(runs[name](seed))
            results[name].append(found)
            reached = f"{found.solved:.1f} s, {found.steps} steps" if found.solved else "missed"
            measuring.note(f"seed {seed}  {name}: {reached}")
    return results


def result(printed: List[Line]) -> Result:
    """What the lines of a run tell."""
    begun = measuring.first(measuring.FIRST_ITERATION, printed)
    assert begun is not None, printed[-5:]
    solved = measuring.first(measuring.SOLVED, printed)
    return (
        Result(begun.after_s, solved.after_s, measuring.steps_of(solved))
        if solved
        else Result(begun.after_s, None, None)
    )


def rows(results: Dict[str, List[Result]]) -> List[List[str]]:
    """A row for each of both: the medians of the runs that reached the goal."""
    return [
        [
            name,
            f"{sum(each.solved is not None for each in found)} of {len(found)}",
            measuring.middle([each.first for each in found], 1),
            measuring.middle([each.solved for each in found if each.solved is not None], 1),
            measuring.middle([float(each.steps) for each in found if each.steps is not None]),
        ]
        for name, found in results.items()
    ]


if __name__ == "__main__":
    if any(word in ("-h", "--help") for word in sys.argv[1:]):
        print(__doc__)
    else:
        main([int(word) for word in sys.argv[1:]] or [0, 1, 2, 3, 4])
