"""The batch, the network and the optimizer's settings that all peers are given: those of our experiment `cartpole`."""

from __future__ import annotations

ENVS, FRAGMENT, MINIBATCH, EPOCHS = 32, 32, 128, 4
BATCH = ENVS * FRAGMENT
LEARNING_RATE, GAMMA, LAMBDA = 1.5e-3, 0.98, 0.8
HIDDEN = [64, 64]


def line(iteration: int, steps: int) -> str:
    """A line as `scripts/train` prints it, as far as it is timed."""
    return f"iteration {iteration:>4}  PPO  {steps} steps  "
