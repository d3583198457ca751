"""A policy and its value by dense layers over one flat vector of weights, forwards and backwards."""

from __future__ import annotations

from itertools import accumulate
from typing import Any, Callable, Dict, NamedTuple, Optional, Sequence, Tuple

import numpy as np

Array = Any  # np.ndarray, which has no parameters on Python 3.8
ONE = np.float32(1)
FIRST, LAST = slice(1), slice(-1, None)
"""The copies of policy and value; the same one where there is one."""


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
    """How many layers of a kind lie side by side, how many numbers each takes and gives, and its activation's name."""

    copies: int
    inputs: int
    outputs: int
    activation: str

    @property
    def size(self) -> int:
        """The number of weights."""
        return self.copies * (self.inputs + 1) * self.outputs


class Layer:
    """``activation(inputs @ kernel + bias)`` of each copy: one call of numpy's for all takes less time than one each.

    Args:
        kernel: ``[copies, inputs, outputs]``.
        bias: ``[copies, 1, outputs]``.
        gradients: arrays like these two, which :meth:`backward` writes.
    """

    def __init__(
        self, kernel: Array, bias: Array, gradients: Sequence[Array], activation: Optional[Activation]
    ) -> None:
        self._kernel, self._bias, self._gradients, self._activation = kernel, bias, gradients, activation
        self._ones = np.ones((1, 0), np.float32)

    def only(self, copy: slice) -> Layer:
        """Return a layer of one copy, with the same weights."""
        return Layer(self._kernel[copy], self._bias[copy], [each[copy] for each in self._gradients], self._activation)

    def forward(self, inputs: Array) -> Array:
        """Return what comes out, ``[copies, rows, outputs]``, and keep both; inputs may be one for all copies."""
        outputs = np.matmul(inputs, self._kernel)
        outputs += self._bias
        if self._activation:
            self._activation.apply(outputs)
        self._inputs, self._outputs = inputs, outputs
        return outputs

    def backward(self, gradient: Array) -> Array:
        """Write the weights' gradients, given that of what came out last; return that of the sums before it."""
        if self._activation:
            gradient = self._activation.before(self._outputs, gradient)
        of_kernel, of_bias = self._gradients
        np.matmul(self._inputs.swapaxes(1, 2), gradient, of_kernel)
        if self._ones.shape[1] != gradient.shape[1]:
            self._ones = np.ones((1, gradient.shape[1]), np.float32)
        np.matmul(self._ones, gradient, of_bias)  # a sum, in a quarter of the time that numpy's takes
        return gradient

    def before(self, gradient: Array, out: Optional[Array] = None) -> Array:
        """Return the gradient of what went in, given that of the sums."""
        turned = np.ascontiguousarray(self._kernel.swapaxes(1, 2))  # by the BLAS itself it takes longer
        into = np.empty((*gradient.shape[:2], turned.shape[2]), np.float32) if out is None else out
        if len(turned) > 1:
            return np.matmul(gradient, turned, into)
        np.dot(gradient[0], turned[0], into[0])  # matmul goes without the BLAS where it adds up nothing
        return into


class Network:
    """A trunk of layers, one copy that policy and value share or one for each, and then the layers of each alone.

    Args:
        weights: of all layers, in this order, float32, of each its kernels and then its biases; changes are seen here.
        chains: the shapes of the three.

    Attributes:
        gradients: of the same shape.
    """

    def __init__(self, weights: Array, *chains: Sequence[Shape]) -> None:
        self.gradients = np.zeros_like(weights)
        ends = list(accumulate(shape.size for chain in chains for shape in chain))[:-1]
        parts = zip(np.split(weights, ends), np.split(self.gradients, ends))
        self._trunk, self._policy, self._value = ([_layer(shape, *next(parts)) for shape in chain] for chain in chains)
        self._to_policy = [layer.only(FIRST) for layer in self._trunk] + self._policy
        self._to_value = [layer.only(LAST) for layer in self._trunk] + self._value

    def forward(self, observations: Array) -> Tuple[Array, Array]:
        """Return the distribution's inputs and the values, ``[rows, …]`` and ``[rows]``, of ``[rows, size]``."""
        self._features = features = _forward(self._trunk, observations[None])
        return _forward(self._policy, features[FIRST])[0], _forward(self._value, features[LAST])[0, :, 0]

    def dist_inputs(self, observations: Array) -> Array:
        """Return the first of what :meth:`forward` does."""
        return _forward(self._to_policy, observations[None])[0]

    def values(self, observations: Array) -> Array:
        """Return the second."""
        return _forward(self._to_value, observations[None])[0, :, 0]

    def backward(self, dist_inputs: Array, values: Array) -> None:
        """Write the weights' gradients, given those of what :meth:`forward` returned last."""
        of_policy, of_value = _backward(self._policy, dist_inputs[None]), _backward(self._value, values[None, :, None])
        if self._trunk:
            gradient = np.empty_like(self._features)
            self._policy[0].before(of_policy, gradient[FIRST])
            if len(gradient) > 1:
                self._value[0].before(of_value, gradient[LAST])
            else:
                gradient += self._value[0].before(of_value)
            _backward(self._trunk, gradient)


def _layer(shape: Shape, *vectors: Array) -> Layer:
    """Return a layer with these weights and gradients."""
    copies, inputs, outputs, activation = shape
    kernels, biases = zip(*(np.split(vector, [copies * inputs * outputs]) for vector in vectors))
    kernel, of_kernel = (each.reshape(copies, inputs, outputs) for each in kernels)
    bias, of_bias = (each.reshape(copies, 1, outputs) for each in biases)
    return Layer(kernel, bias, [of_kernel, of_bias], ACTIVATIONS[activation])


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
