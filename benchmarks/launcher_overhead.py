#!/usr/bin/env python3
"""What `scripts/train` adds to an iteration, against the bare RLlib trainer with the same config, in turns.

usage: benchmarks/launcher_overhead.py [--rounds N] [--steps N] [KEY=VALUE ...]      (default: 5 rounds, 200,000 steps)

Three programs train the default experiment, with the hyperparameters given: RLlib's trainer alone; `scripts/train`
with its metrics, its checkpoints and the live report, in an environment that cannot be drawn; and as it is, with
videos. All are timed in the same way, by the lines that they print: seconds for 1,000 steps of the environment,
from the fourth iteration on. The ratios are round by round.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from pathlib import Path
from typing import Callable, Dict, List, Sequence

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import measuring
from benchmarks.measuring import Line
from scripts.lib import environments

BARE, LAUNCHER, VIDEOS = "RLlib's trainer", "scripts/train", "scripts/train, with videos"
PROGRAM = measuring.REPOSITORY / "benchmarks" / "bare_rllib.py"
ITERATION = re.compile(r"^iteration +(?P<iteration>\d+)  .* (?P<steps>\d+) steps  ")
# The first iterations build what the later ones have.
FROM_ITERATION = 4
# The same environment, which no video can be made of.
UNSEEN = """
import gym


def unseen(env_config):
    env = gym.make("CartPole-v1")
    env.unwrapped.metadata = {}
    return env


ENVS = {"CartPole-v1": unseen}
"""


def main(rounds: int, steps: int, settings: Sequence[str]) -> None:
    """Runs the three in turns, then prints the table."""
    measuring.set_up()
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "source").mkdir()
        (Path(folder) / "source" / "envs.py").write_text(UNSEEN)
        took: Dict[str, List[float]] = {name: [] for name in (BARE, LAUNCHER, VIDEOS)}
        for turn in range(rounds):
            programs = commands(Path(folder), turn, steps, [*settings, f"seed={turn}"])
            for name in list(programs) if turn % 2 == 0 else list(reversed(list(programs))):
                took[name].append(seconds_per_1000_steps(programs[name]()))
                measuring.note(f"round {turn + 1}  {name}: {took[name][-1]:.4f} s for 1,000 steps")
    rows = []
    for name, seconds in took.items():
        more = [100 * (mine / bare - 1) for mine, bare in zip(seconds, took[BARE])]
        rows.append([name, measuring.middle(seconds, 4), measuring.middle(more, 1) if name != BARE else ""])
    print(measuring.markdown(["", "s for 1,000 steps", "more than RLlib's trainer, %"], rows))


def commands(folder: Path, turn: int, steps: int, settings: Sequence[str]) -> Dict[str, Callable[[], List[Line]]]:
    """The three programs, each as what runs it. 501 is a reward that CartPole-v1 does not give."""
    python = str(environments.interpreter(environments.environment_of(environments.ROOT, [environments.IMAGE])))
    words = [*settings, f"stop.timesteps_total={steps}", "stop.episode_reward_mean=501"]
    store = ["--store", str(folder / "store")]
    source = ["--source", str(folder / "source")]
    environ = {"HOME": str(folder), "PYTHONPATH": str(measuring.REPOSITORY)}
    return {
        BARE: lambda: measuring.lines([python, str(PROGRAM), str(steps), *words], environ=environ),
        LAUNCHER: lambda: measuring.train(*words, *store, *source, "--job", f"unseen-{turn}"),
        VIDEOS: lambda: measuring.train(*words, *store, "--job", f"seen-{turn}"),
    }


def seconds_per_1000_steps(printed: List[Line]) -> float:
    """From the line of the fourth iteration to that of the last."""
    matched = [(ITERATION.search(line.text), line.after_s) for line in printed]
    iterations = [(int(found["iteration"]), int(found["steps"]), after_s) for found, after_s in matched if found]
    counted = [each[1:] for each in iterations if each[0] >= FROM_ITERATION]
    (first_steps, began), (last_steps, ended) = counted[0], counted[-1]
    return 1000 * (ended - began) / (last_steps - first_steps)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("settings", nargs="*", metavar="KEY=VALUE")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=200_000)
    options = parser.parse_intermixed_args()
    main(options.rounds, options.steps, options.settings)
