"""RLlib's distributions of actions in numpy, with the gradients of what PPO's loss takes of them.

Their inputs are ``[numbers, rows]``: numpy adds up long rows faster than many short ones. That
and single precision throughout make drawing take half the time of :mod:`rl_app.policy.distributions`'s (6.3 µs, 13.7).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

Array = Any  # np.ndarray, which has no parameters on Python 3.8
HALF = np.float32(0.5)


class Categorical:
    """One of several actions, by their logits ``[actions, rows]``."""

    def __init__(self, inputs: Array) -> None:
        shifted = inputs - np.maximum.reduce(inputs)
        powers = np.exp(shifted)
        total = np.add.reduce(powers)
        self._probabilities, self._logs = powers / total, shifted - np.log(total)

    @staticmethod
    def draw(inputs: Array, generator: Any) -> Array:
        """Return actions, integers ``[rows]``, by a generator of numpy's."""
        steps = np.add.accumulate(np.exp(inputs - np.maximum.reduce(inputs)))
        return np.add.reduce(steps < generator.random(steps.shape[1]) * steps[-1])

    def logp(self, actions: Array) -> Array:
        """Return how likely the actions, integers ``[rows]``, are."""
        self._chosen = actions * len(actions) + np.arange(len(actions))  # the places of the actions, row by row
        return self._logs.take(self._chosen)

    def logp_gradient(self, of_logp: Array) -> Array:
        """Return the gradient of the inputs, given that of the last :meth:`logp`."""
        gradient = self._probabilities * -of_logp
        gradient.ravel()[self._chosen] += of_logp
        return gradient

    def entropy(self) -> Array:
        """Return it of each row."""
        return -np.add.reduce(self._probabilities * self._logs)

    def entropy_gradient(self) -> Array:
        """Return the gradient of the inputs."""
        return -self._probabilities * (self._logs + self.entropy())

    def kl(self, before: Categorical) -> Array:
        """Return the divergence of this one from the one ``before``, of each row."""
        return np.add.reduce(before._probabilities * (before._logs - self._logs))

    def kl_gradient(self, before: Categorical) -> Array:
        """Return the gradient of the inputs."""
        return self._probabilities - before._probabilities


class DiagGaussian:
    """Numbers, each normally distributed: their means, then the logarithms of their deviations, by rows."""

    def __init__(self, inputs: Array) -> None:
        self._mean, self._log_std = np.split(inputs, 2)
        self._std = np.exp(self._log_std)

    @staticmethod
    def draw(inputs: Array, generator: Any) -> Array:
        """Return actions, ``[rows, numbers]``, by a generator of numpy's."""
        mean, log_std = np.split(inputs, 2)
        return (mean + np.exp(log_std) * generator.standard_normal(mean.shape)).T.astype(np.float32)

    def logp(self, actions: Array) -> Array:
        """Return how likely the actions, ``[rows, numbers]``, are."""
        constant = np.float32(0.5 * math.log(2.0 * math.pi) * len(self._mean))
        self._away = (actions.T - self._mean) / self._std
        return -HALF * np.add.reduce(np.square(self._away)) - constant - np.add.reduce(self._log_std)

    def logp_gradient(self, of_logp: Array) -> Array:
        """Return the gradient of the inputs, given that of the last :meth:`logp`."""
        return np.concatenate([self._away / self._std, np.square(self._away) - 1]) * of_logp

    def entropy(self) -> Array:
        """Return it of each row."""
        return np.add.reduce(self._log_std + np.float32(0.5 * math.log(2.0 * math.pi * math.e)))

    def entropy_gradient(self) -> Array:
        """Return the gradient of the inputs."""
        return np.concatenate([np.zeros_like(self._mean), np.ones_like(self._mean)])

    def kl(self, before: DiagGaussian) -> Array:
        """Return the divergence of this one from the one ``before``, of each row."""
        return np.add.reduce(self._log_std - before._log_std + HALF * self._spread(before) - HALF)

    def kl_gradient(self, before: DiagGaussian) -> Array:
        """Return the gradient of the inputs."""
        moved = (self._mean - before._mean) / np.square(self._std)
        return np.concatenate([moved, 1 - self._spread(before)])

    def _spread(self, before: DiagGaussian) -> Array:
        return (np.square(before._std) + np.square(before._mean - self._mean)) / np.square(self._std)
