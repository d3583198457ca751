"""Adam, https://arxiv.org/abs/1412.6980, with the order of operations and the precision of TensorFlow's."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

Array = Any  # np.ndarray, which has no parameters on Python 3.8
ONE, BETA1, BETA2, EPSILON = (np.float32(value) for value in (1, 0.9, 0.999, 1e-8))
BETAS = np.array([BETA1, BETA2])


class Adam:
    """TensorFlow's AdamOptimizer with its defaults. All that it is given is changed in place.

    Args:
        weights: float32.
        mean, square: the running means of the gradients and of their squares, of the same shape.
        powers: those of beta1 and of beta2.
    """

    def __init__(self, weights: Array, mean: Array, square: Array, powers: Array) -> None:
        self._weights, self._mean, self._square, self._powers = weights, mean, square, powers

    def step(self, gradients: Array, rate: Any) -> None:
        """Move the weights; the gradients' array is used up."""
        rate *= np.sqrt(ONE - self._powers[1]) / (ONE - self._powers[0])
        squares = gradients * gradients
        self._mean += np.multiply(np.subtract(gradients, self._mean, gradients), ONE - BETA1, gradients)
        self._square += np.multiply(np.subtract(squares, self._square, squares), ONE - BETA2, squares)
        divisor = np.sqrt(self._square, squares)
        divisor += EPSILON
        step = np.multiply(self._mean, rate, gradients)
        self._weights -= np.divide(step, divisor, step)
        self._powers *= BETAS


def clip_by_global_norm(gradients: Array, most: float) -> None:
    """Shorten the gradients, in place, to the length ``most``; one that is no number makes all of them none."""
    norm = math.sqrt(np.dot(gradients, gradients))
    if not norm <= most:
        gradients *= np.float32(most / norm if math.isfinite(norm) else math.nan)
