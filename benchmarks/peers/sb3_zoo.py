"""PPO of Stable-Baselines3 on CartPole-v1 with the RL zoo's settings, until its last 100 episodes are solved.

usage: sb3_cartpole.py SEED GOAL MOST_STEPS      (benchmarks/against_sb3.py runs it, and makes what it runs in)
"""

from __future__ import annotations

import sys
import time
from typing import Callable

import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env

# hyperparams/ppo.yml of rl-baselines3-zoo has these, and schedules that reach 0 after as many steps.
ZOO = {
    "n_steps": 32,
    "batch_size": 256,
    "gae_lambda": 0.8,
    "gamma": 0.98,
    "n_epochs": 20,
    "ent_coef": 0.0,
}
ENVS = 8
LEARNING_RATE, CLIP_RANGE = 0.001, 0.2
STEPS = 100_000


def linear(initial: float, most_steps: int) -> Callable[[float], float]:
    """The zoo's schedule: falls to 0 within STEPS, and stays there where it goes on to ``most_steps``."""
    return lambda left: initial * max(0.0, 1.0 - (1.0 - left) * most_steps / STEPS)


class UntilSolved(BaseCallback):
    """Prints a line each iteration, and ends the training at the first whose mean is the goal."""

    def __init__(self, goal: float) -> None:
        super().__init__()
        self._goal, self._solved, self._iterations, self._began = goal, False, 0, time.monotonic()

    def _on_step(self) -> bool:
        return not self._solved

    def _on_rollout_end(self) -> None:
        self._iterations += 1
        rewards = [episode["r"] for episode in self.model.ep_info_buffer]
        mean = float(np.mean(rewards)) if rewards else 0.0
        self._solved = mean >= self._goal
        print(
            f"iteration {self._iterations:>4}  episode_reward_mean: {mean:.2f}  {self.num_timesteps} steps  "
            f"{time.monotonic() - self._began:.1f} s  {'solved' if self._solved else ''}",
            flush=True,
        )


def main(seed: int, goal: float, most_steps: int) -> None:
    """Trains until it is solved."""
    torch.set_num_threads(1)  # as ours: for networks so small, a second thread costs more than it brings
    model = PPO(
        "MlpPolicy",
        make_vec_env("CartPole-v1", n_envs=ENVS, seed=seed),
        learning_rate=linear(LEARNING_RATE, most_steps),
        clip_range=linear(CLIP_RANGE, most_steps),
        seed=seed,
        device="cpu",
        **ZOO,
    )
    model.learn(most_steps, UntilSolved(goal))


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]))
