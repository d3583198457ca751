"""PPO of Stable-Baselines3 on CartPole-v1. usage: sb3.py SEED STEPS      (benchmarks/peers/run.py runs it)"""

from __future__ import annotations

import sys

import torch
from ours import ENVS, EPOCHS, FRAGMENT, GAMMA, HIDDEN, LAMBDA, LEARNING_RATE, MINIBATCH, line
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env


class Lines(BaseCallback):
    """Prints a line each iteration."""

    iterations = 0

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        if self.num_timesteps:
            self.iterations += 1
            print(line(self.iterations, self.num_timesteps), flush=True)


def main(seed: int, steps: int) -> None:
    """Trains for so many steps."""
    torch.set_num_threads(1)  # for networks so small, a second thread costs more than it brings
    model = PPO(
        "MlpPolicy",
        make_vec_env("CartPole-v1", n_envs=ENVS, seed=seed),
        n_steps=FRAGMENT,
        batch_size=MINIBATCH,
        n_epochs=EPOCHS,
        learning_rate=LEARNING_RATE,
        gamma=GAMMA,
        gae_lambda=LAMBDA,
        policy_kwargs={"net_arch": HIDDEN},
        seed=seed,
        device="cpu",
    )
    model.learn(steps, Lines())


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
