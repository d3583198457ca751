#!/usr/bin/env python3
"""Steps of CartPole-v1 a second in steady training by PPO: `scripts/train` and what one would take instead, in turns.

usage: benchmarks/peers/run.py [SEED ...]      (default: 0 1 2 3 4)

All have the batch (32 environments of 32 steps), minibatches, epochs and networks of the experiment `cartpole`, and one
thread for the tensors. `scripts/train` is measured as it is, checkpoints and report included: by default, where its
CartPole steps all environments at once; with Gym's CartPole, one by one; and as stock RLlib 0.8.5 (`fast=false`). The
others come from locks with hashes (PyTorch, so a few GB in .tools/ the first time). Timed by the lines that each
prints, from its fourth iteration on.
"""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path
from typing import Callable, Dict, List

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks import measuring
from benchmarks.launcher_overhead import UNSEEN, seconds_per_1000_steps
from benchmarks.measuring import Line
from benchmarks.peers import ours
from benchmarks.peers.environment import python_of
from scripts.lib import environments

HERE = Path(__file__).parent
OURS, ONE_BY_ONE, STOCK = "scripts/train", "scripts/train, environments one by one", "scripts/train fast=false"
SB3, CLEANRL, RLLIB = "Stable-Baselines3 2.9.2", "CleanRL 1.2.0", "RLlib 2.60.0"
PEERS = (SB3, CLEANRL, RLLIB)
STEPS = 300_000
ENVIRON = {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}


def main(seeds: List[int]) -> None:
    """Runs all with every seed, then prints the medians and how many times ours is the best of theirs."""
    measuring.set_up()
    rates: Dict[str, List[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "source").mkdir()
        (Path(folder) / "source" / "envs.py").write_text(UNSEEN)
        runs = programs(Path(folder))
        for turn, seed in enumerate(seeds):
            for name in list(runs) if turn % 2 == 0 else list(reversed(list(runs))):
                rates.setdefault(name, []).append(1000 / seconds_per_1000_steps(runs[name](seed)))
                measuring.note(f"seed {seed}  {name}: {rates[name][-1]:,.0f} steps/s")
    print(measuring.markdown(["", "steps/s"], [[name, measuring.middle(rates[name])] for name in runs]))
    for name in (OURS, ONE_BY_ONE):
        times = [rate / max(rates[peer][turn] for peer in PEERS) for turn, rate in enumerate(rates[name])]
        print(f"\n{name}: {measuring.middle(times, 2)} times the best of the peers, seed by seed")


def programs(folder: Path) -> Dict[str, Callable[[int], List[Line]]]:
    """What runs each, given a seed."""
    image = environments.interpreter(environments.environment_of(environments.ROOT, [environments.IMAGE]))
    peers, cleanrl = python_of("peers.txt", "3.11"), python_of("cleanrl.txt", str(image))
    source = ["--source", str(folder / "source")]
    return {
        OURS: lambda seed: train(folder, "default", seed),
        ONE_BY_ONE: lambda seed: train(folder, "one-by-one", seed, *source),
        STOCK: lambda seed: train(folder, "stock", seed, "fast=false"),
        SB3: lambda seed: theirs(peers, HERE / "sb3.py", seed),
        RLLIB: lambda seed: theirs(peers, HERE / "rllib.py", seed),
        CLEANRL: lambda seed: clean_rl(cleanrl, folder, seed),
    }


def train(folder: Path, name: str, seed: int, *words: str) -> List[Line]:
    """Runs `scripts/train` to the last step; 501 is a reward that CartPole-v1 does not give."""
    goal = (f"seed={seed}", "stop.episode_reward_mean=501", f"stop.timesteps_total={STEPS}")
    return measuring.train(*goal, *words, "--store", str(folder / "store"), "--job", f"{name}-{seed}")


def theirs(python: str, program: Path, seed: int) -> List[Line]:
    """Runs a program that prints our lines."""
    return measuring.lines([python, str(program), str(seed), str(STEPS)], environ=ENVIRON)


def clean_rl(python: str, folder: Path, seed: int) -> List[Line]:
    """Runs CleanRL's script, which says its speed after each batch; those lines become ours."""
    (script,) = Path(python).parents[1].glob("lib/*/site-packages/cleanrl/ppo.py")
    batches = {"num-envs": ours.ENVS, "num-steps": ours.FRAGMENT, "num-minibatches": ours.BATCH // ours.MINIBATCH}
    asked = {**batches, "update-epochs": ours.EPOCHS, "total-timesteps": STEPS, "seed": seed, "cuda": False}
    words = [word for key, value in asked.items() for word in (f"--{key}", str(value))]
    code = f"import os, runpy, sys; os.chdir({str(folder)!r}); runpy.run_path(sys.argv.pop(1), run_name='__main__')"
    printed = measuring.lines([python, "-c", code, str(script), *words], environ=ENVIRON)
    batches_done = [line for line in printed if re.match("SPS: ", line.text)]
    return [Line(ours.line(n, n * ours.BATCH), each.after_s) for n, each in enumerate(batches_done, 1)]


if __name__ == "__main__":
    if any(word in ("-h", "--help") for word in sys.argv[1:]):
        print(__doc__)
    else:
        main([int(word) for word in sys.argv[1:]] or [0, 1, 2, 3, 4])
