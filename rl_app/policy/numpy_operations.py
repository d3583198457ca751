"""TensorFlow's operations in numpy: those of dense layers, and of the best action of RLlib's distributions."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Mapping

import numpy as np

from rl_app.spaces.description import Array

Settings = Mapping[str, Any]
Operation = Callable[..., Any]


def _of(function: Callable[..., Array]) -> Operation:
    """Return the operation that has no settings which change what it gives."""
    return lambda _, *values: function(*values)


def _reduced(function: Callable[..., Array]) -> Operation:
    def operation(settings: Settings, values: Array, axes: Array) -> Array:
        # numpy sums small integers as wider ones
        found = function(values, axis=tuple(np.ravel(axes)), keepdims=settings["keep_dims"])
        return found.astype(values.dtype, copy=False)

    return operation


def _mat_mul(settings: Settings, left: Array, right: Array) -> Array:
    return (left.T if settings["transpose_a"] else left) @ (right.T if settings["transpose_b"] else right)


def _sigmoid(values: Array) -> Array:
    half = values.dtype.type(0.5)
    return half * np.tanh(half * values) + half  # which no large number overflows


def _softmax(values: Array) -> Array:
    powers = np.exp(values - values.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def _split_v(_: Settings, values: Array, sizes: Array, axis: Array) -> List[Array]:
    rest = values.shape[int(axis)] - sizes[sizes >= 0].sum()
    return np.split(values, np.cumsum(np.where(sizes < 0, rest, sizes))[:-1], int(axis))


def _strided_slice(settings: Settings, values: Array, begin: Array, end: Array, strides: Array) -> Array:
    def has(mask: str, place: int) -> bool:
        return bool(settings[mask] >> place & 1)

    def index(place: int) -> Any:
        if has("ellipsis_mask", place):
            return Ellipsis
        if has("new_axis_mask", place):
            return np.newaxis
        if has("shrink_axis_mask", place):
            return int(begin[place])
        start = None if has("begin_mask", place) else begin[place]
        return slice(start, None if has("end_mask", place) else end[place], strides[place])

    return np.asarray(values[tuple(map(index, range(len(begin))))])


OPERATIONS: Dict[str, Operation] = {
    **dict.fromkeys(("Identity", "PlaceholderWithDefault", "StopGradient"), _of(np.asarray)),
    # layers
    "MatMul": _mat_mul,
    "BiasAdd": _of(np.add),
    "Tanh": _of(np.tanh),
    "Relu": _of(lambda values: np.maximum(values, 0)),
    "Elu": _of(lambda values: np.where(values < 0, np.expm1(np.minimum(values, 0)), values)),
    "Sigmoid": _of(_sigmoid),
    "Softplus": _of(lambda values: np.logaddexp(values, values.dtype.type(0))),
    "Softmax": _of(_softmax),
    # numbers by themselves
    **dict.fromkeys(("Add", "AddV2"), _of(np.add)),
    "AddN": _of(lambda *values: sum(values[1:], values[0])),
    "Sub": _of(np.subtract),
    "Mul": _of(np.multiply),
    "RealDiv": _of(np.divide),
    "Neg": _of(np.negative),
    "Exp": _of(np.exp),
    "Log": _of(np.log),
    "Sqrt": _of(np.sqrt),
    "Square": _of(np.square),
    "Maximum": _of(np.maximum),
    "Minimum": _of(np.minimum),
    "NotEqual": _of(np.not_equal),
    **dict.fromkeys(("Select", "SelectV2"), _of(np.where)),
    "Cast": lambda settings, values: np.asarray(values, settings["DstT"]),
    # over axes
    "Mean": _reduced(np.mean),
    "Sum": _reduced(np.sum),
    "Prod": _reduced(np.prod),
    "Max": _reduced(np.max),
    "ArgMax": lambda settings, values, axis: np.asarray(np.argmax(values, int(axis)), settings["output_type"]),
    # shapes
    "ZerosLike": _of(np.zeros_like),
    "Fill": _of(lambda shape, value: np.full(shape, value, value.dtype)),
    "Range": _of(lambda start, limit, delta: np.arange(start, limit, delta, start.dtype)),
    "Shape": lambda settings, values: np.array(values.shape, settings["out_type"]),
    "Reshape": _of(lambda values, shape: values.reshape(shape)),
    "Squeeze": lambda settings, values: np.squeeze(values, tuple(settings["squeeze_dims"]) or None),
    "ExpandDims": _of(lambda values, axis: np.expand_dims(values, int(axis))),
    "ConcatV2": _of(lambda *values: np.concatenate(values[:-1], int(values[-1]))),
    "Pack": lambda settings, *values: np.stack(values, settings["axis"]),
    "Split": lambda settings, axis, values: np.split(values, settings["num_split"], int(axis)),
    "SplitV": _split_v,
    "StridedSlice": _strided_slice,
}
"""By TensorFlow's name: of a node's settings and of what goes into it; a list where several come out of it."""
