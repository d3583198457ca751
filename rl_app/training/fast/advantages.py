"""Advantages and value targets of many trajectories that lie one behind the other."""

from __future__ import annotations

from itertools import accumulate
from typing import Any, Tuple

import numpy as np

Array = Any  # np.ndarray, which has no parameters on Python 3.8


# Of so many fragments or more, numpy's calls take less time than Python's arithmetic
MANY = 4


def generalized(
    rewards: Array, values: Array, ends: Array, after: Array, gamma: float, lambda_: float, fragments: int = 1
) -> Tuple[Array, Array]:
    """Generalized Advantage Estimation, https://arxiv.org/abs/1506.02438.

    Args:
        ends: true at the last step of each trajectory.
        after: what is expected after that step: 0 where the episode is over.
        fragments: how many parts of the same length, each with a trajectory's end at its own, lie behind each other.

    Returns:
        Advantages and value targets.
    """
    values = values.astype(np.float64)
    following = np.where(ends, after, np.append(values[1:], 0.0))
    advantages = discounted(rewards + gamma * following - values, ends, gamma * lambda_, fragments)
    return advantages.astype(np.float32), (advantages + values).astype(np.float32)


def returns(rewards: Array, values: Array, ends: Array, after: Array, gamma: float) -> Tuple[Array, Array]:
    """Return the discounted returns: less the values as advantages, and as value targets."""
    targets = discounted(rewards + gamma * np.where(ends, after, 0.0), ends, gamma).astype(np.float32)
    return targets - values.astype(np.float32), targets


def discounted(steps: Array, ends: Array, factor: float, fragments: int = 1) -> Array:
    """Sum each step and all that follow it in its trajectory, each discounted once more."""
    factors = np.where(ends, 0.0, factor)
    if fragments >= MANY:
        return _of_all_at_once(*(each.reshape(fragments, -1).T for each in (steps, factors))).T.ravel()
    backwards = zip(steps[::-1].tolist(), factors[::-1].tolist())
    first = next(backwards)[0]
    sums = accumulate(backwards, lambda total, step: step[0] + step[1] * total, initial=first)
    return np.fromiter(sums, np.float64, len(steps))[::-1]


def _of_all_at_once(steps: Array, factors: Array) -> Array:
    """Return the sums for ``[time, fragment]``."""
    sums = np.array(steps, np.float64)
    for time in range(len(sums) - 2, -1, -1):
        sums[time] += factors[time] * sums[time + 1]
    return sums
