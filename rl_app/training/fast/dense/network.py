"""A policy and its value by dense layers over one flat vector of weights, forwards and backwards."""

from __future__ import annotations

from itertools import accumulate
from typing import Any, Callable, Dict, NamedTuple, Optional, Sequence, Tuple

import numpy as np

Array = Any  # np.ndarray, which has no parameters on Python 3.8
ONE = np.float32(1)


class Activation(NamedTuple):
    """What a layer does last, in place, and the gradient of its sums, given what came out and the gradient of that."""

    apply: Callable[[Array], Any]
    before: Callable[[Array, Array], Array]


def _before_tanh(outputs: Array, gradient: Array) -> Array:
    derivative = outputs * outputs
    np.subtract(ONE, derivative, derivative)
    return np.multiply(gradient, derivative, derivative)


ACTIVATIONS: Dict[str, Optional[Activation]] = {
    "tanh": Activation(lambda sums: np.tanh(sums, sums), _before_tanh),
    "relu": Activation(lambda sums: np.maximum(sums, 0, sums), lambda outputs, gradient: gradient * (outputs > 0)),
    "linear": None,
}


class Shape(NamedTuple):
    """How many numbers a layer takes and gives, and its activation's name."""

    inputs: int
    outputs: int
    activation: str

    @property
    def size(self) -> int:
        """The number of weights."""
        return (self.inputs + 1) * self.outputs


class Layer:
    """``activation(inputs @ kernel + bias)``.

    Args:
        weights: the kernel, then the bias, as one vector.
        gradients: a vector alike, which :meth:`backward` writes.
    """

    def __init__(self, shape: Shape, weights: Array, gradients: Array) -> None:
        bias = shape.inputs * shape.outputs
        self._kernel, self._kernel_gradient = (each[:bias].reshape(shape[:2]) for each in (weights, gradients))
        self._bias, self._bias_gradient = weights[bias:], gradients[bias:]
        self._activation = ACTIVATIONS[shape.activation]
        self._ones = np.ones(0, np.float32)

    def forward(self, inputs: Array) -> Array:
        """Return what comes out for ``[rows, inputs]``, and keep both."""
        outputs = np.dot(inputs, self._kernel)
        outputs += self._bias
        if self._activation:
            self._activation.apply(outputs)
        self._inputs, self._outputs = inputs, outputs
        return outputs

    def backward(self, gradient: Array) -> Array:
        """Write the weights' gradients, given that of what came out last; return that of the sums before it."""
        if self._activation:
            gradient = self._activation.before(self._outputs, gradient)
        np.dot(self._inputs.T, gradient, self._kernel_gradient)
        if len(self._ones) != len(gradient):
            self._ones = np.ones(len(gradient), np.float32)
        np.dot(self._ones, gradient, self._bias_gradient)  # a sum, in half of the time that numpy's takes
        return gradient

    def before(self, gradient: Array) -> Array:
        """Return the gradient of what went in, given that of the sums."""
        return np.dot(gradient, self._kernel.T)


class Network:
    """The layers that policy and value share, if any, and those of each.

    Args:
        weights: of all layers, in this order, float32; changes of them are seen here.
        chains: the shapes of the three.

    Attributes:
        gradients: of the same shape.
    """

    def __init__(self, weights: Array, *chains: Sequence[Shape]) -> None:
        self.gradients = np.zeros_like(weights)
        ends = list(accumulate(shape.size for chain in chains for shape in chain))[:-1]
        parts = zip(np.split(weights, ends), np.split(self.gradients, ends))
        self._shared, self._policy, self._value = ([Layer(shape, *next(parts)) for shape in chain] for chain in chains)

    def forward(self, observations: Array) -> Tuple[Array, Array]:
        """Return the distribution's inputs and the values, ``[rows, …]`` and ``[rows]``, of ``[rows, size]``."""
        features = _forward(self._shared, observations)
        return _forward(self._policy, features), _forward(self._value, features)[:, 0]

    def dist_inputs(self, observations: Array) -> Array:
        """Return the first of what :meth:`forward` does."""
        return _forward(self._policy, _forward(self._shared, observations))

    def values(self, observations: Array) -> Array:
        """Return the second."""
        return _forward(self._value, _forward(self._shared, observations))[:, 0]

    def backward(self, dist_inputs: Array, values: Array) -> None:
        """Write the weights' gradients, given those of what :meth:`forward` returned last."""
        found = [_backward(self._policy, dist_inputs), _backward(self._value, values[:, None])]
        if self._shared:
            _backward(self._shared, self._policy[0].before(found[0]) + self._value[0].before(found[1]))


def _forward(layers: Sequence[Layer], values: Array) -> Array:
    for layer in layers:
        values = layer.forward(values)
    return values


def _backward(layers: Sequence[Layer], gradient: Array) -> Array:
    """Return the gradient of the first layer's sums."""
    gradient = layers[-1].backward(gradient)
    for after, layer in zip(layers[:0:-1], layers[-2::-1]):
        gradient = layer.backward(after.before(gradient))
    return gradient
