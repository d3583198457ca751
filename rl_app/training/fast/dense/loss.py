"""PPO's loss as RLlib 0.8.5 has it (https://arxiv.org/abs/1707.06347), and its gradient."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Dict, NamedTuple, Optional, Tuple

import numpy as np

Array = Any  # np.ndarray, which has no parameters on Python 3.8


class LossSettings(NamedTuple):
    """The ranges that the loss clips to, and what it weighs its parts by; without ``value`` no value is learned."""

    clip: float
    value_clip: float
    value: Optional[float]
    kl: float
    entropy: float


class Minibatch(NamedTuple):
    """What was so when the steps were taken: ``dist_inputs`` ``[numbers, rows]``, of the others a row each."""

    actions: Array
    logp: Array
    values: Array
    advantages: Array
    targets: Array
    dist_inputs: Array


class Loss:
    """The loss of a minibatch, given what the network says of it now.

    Args:
        dist_class: of :mod:`~rl_app.training.fast.dense.distributions`.
        dist_inputs: as the minibatch has them.
    """

    def __init__(
        self, then: Minibatch, dist_class: Any, dist_inputs: Array, values: Array, settings: LossSettings
    ) -> None:
        self._then, self._settings = then, settings
        self._dist_class, self._dist = dist_class, dist_class(dist_inputs)
        ratio = np.exp(self._dist.logp(then.actions) - then.logp)
        self._surrogate = then.advantages * ratio
        self._clipped = then.advantages * clipped(ratio, 1 - settings.clip, 1 + settings.clip)
        self._error = self._worst_error = values - then.targets
        self._far: Any = []
        moved = values - then.values
        if np.maximum.reduce(np.abs(moved)) > settings.value_clip:
            error = then.values + clipped(moved, -settings.value_clip, settings.value_clip) - then.targets
            self._far = (np.abs(moved) > settings.value_clip) & (np.abs(error) > np.abs(self._error))
            self._worst_error = np.where(self._far, error, self._error)

    def gradients(self) -> Tuple[Array, Array]:
        """Return those of the distribution's inputs, ``[numbers, rows]``, and of the values."""
        settings, dist, share = self._settings, self._dist, np.float32(1 / len(self._error))
        of_inputs = dist.logp_gradient(self._surrogate * (self._surrogate <= self._clipped) * -share)
        if settings.kl:
            of_inputs += dist.kl_gradient(self._before) * np.float32(settings.kl * share)
        if settings.entropy:
            of_inputs -= dist.entropy_gradient() * np.float32(settings.entropy * share)
        of_values = self._error * np.float32(2 * (settings.value or 0) * share)
        if len(self._far):
            of_values[self._far] = 0
        return of_inputs, of_values

    @cached_property
    def _before(self) -> Any:
        """The distribution that the actions were drawn from."""
        return self._dist_class(self._then.dist_inputs)

    def figures(self, starts: Array) -> Dict[str, float]:
        """Return what RLlib's learner tells of the loss and its parts: the mean over minibatches that start there."""
        settings, means = self._settings, Means(starts, len(self._error))
        kl, entropy = means.mean(self._dist.kl(self._before)), means.mean(self._dist.entropy())
        policy_loss = -means.mean(np.minimum(self._surrogate, self._clipped))
        value_loss = 0.0 if settings.value is None else means.mean(np.square(self._worst_error))
        weighed = settings.kl * kl + (settings.value or 0) * value_loss - settings.entropy * entropy
        unexplained = means.variances(self._error) / means.variances(self._then.targets)
        return {
            "total_loss": policy_loss + weighed,
            "policy_loss": policy_loss,
            "vf_loss": value_loss,
            "vf_explained_var": float(np.maximum(-1, 1 - unexplained).mean()),
            "kl": kl,
            "entropy": entropy,
        }


class Means:
    """Of rows that are minibatches, one behind the other."""

    def __init__(self, starts: Array, rows: int) -> None:
        self._starts, self._sizes = starts, np.diff(starts, append=rows)

    def mean(self, values: Array) -> float:
        """Return the mean over the minibatches of their means."""
        return float(self._of_each(values).mean())

    def variances(self, values: Array) -> Array:
        """Return the variance of each."""
        return self._of_each(np.square(values - np.repeat(self._of_each(values), self._sizes)))

    def _of_each(self, values: Array) -> Array:
        return np.add.reduceat(values, self._starts) / self._sizes


def clipped(values: Array, least: float, most: float) -> Array:
    """Return the values within bounds; numpy's ``clip`` takes several times as long for few."""
    return np.minimum(np.maximum(values, np.float32(least)), np.float32(most))
