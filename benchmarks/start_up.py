#!/usr/bin/env python3
"""Seconds from the command to the first iteration's line, against a bare import of the same Python, in turns.

usage: benchmarks/start_up.py [ROUNDS]      (default: 5)

The bare import is `import tensorflow, ray.rllib.agents.ppo`; its time is up to the end of the process. The goal is a
first line within 1.5 times of it; seen on two quiet cores: 2.3 s against 3.1 s, 0.76 times (0.76 to 0.79), as less is
imported. Where the CPU seconds went, on two cores with other work, the bare import being 5.0 there:

| part | before | after |
|---|---|---|
| RLlib's registering of all its algorithms | 0.4 | 0: each is imported by name |
| building the trainer: the loss once, its figures as one column | 2.8 | 2.0 |
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Dict, List

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import measuring
from scripts.lib import environments

BARE, TRAIN = "a bare import", "scripts/train, to its first line"


def main(rounds: int) -> None:
    """Runs both in turns, then prints the table."""
    measuring.set_up()
    python = str(environments.interpreter(environments.environment_of(environments.ROOT, [environments.IMAGE])))
    took: Dict[str, List[float]] = {BARE: [], TRAIN: []}
    with tempfile.TemporaryDirectory() as store:
        for turn in range(rounds):
            imported = measuring.lines([python, "-c", "import tensorflow, ray.rllib.agents.ppo"])
            took[BARE].append(imported[-1].after_s)
            words = (f"seed={turn}", "stop.training_iteration=1", "--store", store, "--job", f"start-{turn}")
            first = measuring.first(measuring.FIRST_ITERATION, measuring.train(*words))
            assert first is not None
            took[TRAIN].append(first.after_s)
            measuring.note(f"round {turn + 1}: {took[BARE][-1]:.1f} s, {took[TRAIN][-1]:.1f} s")
    times = [mine / bare for mine, bare in zip(took[TRAIN], took[BARE])]
    rows = [[name, measuring.middle(seconds, 1)] for name, seconds in took.items()]
    print(measuring.markdown(["", "seconds"], rows))
    print(f"\n{measuring.middle(times, 2)} times the bare import, round by round")


if __name__ == "__main__":
    if any(word in ("-h", "--help") for word in sys.argv[1:]):
        print(__doc__)
    else:
        main(int(sys.argv[1]) if sys.argv[1:] else 5)
