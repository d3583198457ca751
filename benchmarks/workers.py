#!/usr/bin/env python3
"""Steps a second with one worker and with two, where the environment is the cost, in turns.

usage: benchmarks/workers.py [--step-ms MS] [--rounds N]      (default: 1 ms a step, 5 rounds)

The environment computes for MS a step (it does not wait), so that two workers need two cores. Each round is one job of
each kind with the same seed, timed by the lines that it prints, from its fourth iteration on.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Dict, List

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import measuring
from benchmarks.launcher_overhead import seconds_per_1000_steps

SOURCE = measuring.REPOSITORY / "benchmarks" / "hosts" / "slow_envs.py"
BATCH = ("config.rollout_fragment_length=50", "config.num_envs_per_worker=4", "config.train_batch_size=1600")
SHORT = ("config.timesteps_per_iteration=0", "stop.training_iteration=12", "stop.episode_reward_mean=101")


def main(step_ms: float, rounds: int) -> None:
    """Runs both in turns, then prints the table."""
    measuring.set_up()
    rates: Dict[int, List[float]] = {1: [], 2: []}
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as store:
        (Path(folder) / "envs.py").write_text(SOURCE.read_text())
        given = ("cartpole", "env=Busy", f"config.env_config.step_s={step_ms / 1000}", "--source", folder)
        for turn in range(rounds):
            for workers in (1, 2) if turn % 2 == 0 else (2, 1):
                words = (f"config.num_workers={workers}", f"seed={turn}", "--store", store)
                printed = measuring.train(*given, *BATCH, *SHORT, *words, "--job", f"{workers}-{turn}")
                rates[workers].append(1000 / seconds_per_1000_steps(printed))
                measuring.note(f"round {turn + 1}  {workers} workers: {rates[workers][-1]:,.0f} steps/s")
    print(measuring.markdown(["workers", "steps/s"], [[str(n), measuring.middle(each)] for n, each in rates.items()]))
    times = [two / one for one, two in zip(rates[1], rates[2])]
    print(f"\n{measuring.middle(times, 2)} times as many, round by round")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--step-ms", type=float, default=1.0)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    main(options.step_ms, options.rounds)
