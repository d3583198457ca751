"""Numbers as clients send them, checked against one part of the policy's space.

What is not of the space is refused with the field, what was expected and what came.
"""

from __future__ import annotations

import math
from typing import Any, Dict, List, Optional, Tuple

import numpy as np

from rl_app.serving.refusal import bad
from rl_app.spaces.description import Array, Space, is_float, shape_of, start_of
from rl_app.spaces.flattening import Leaf

Shape = Tuple[int, ...]

FLOATS, INTEGERS, BITS = "numbers", "integers", "0 or 1"


def batch(value: Any, shape: Shape, field: str, single: bool = True) -> Array:
    """Read lists as an array [batch, *shape] of numbers; one of the plain shape is a batch of one if ``single``."""
    array = numbers(value)
    if array is not None and array.size:
        if array.shape[1:] == shape and array.ndim == len(shape) + 1:
            return array
        if single and array.shape == shape:
            return array[None]
    if array is not None and array.shape == (0,):
        raise bad(f"{field}: the batch is empty; at least one observation is expected")
    raise bad(misfit(value, array, shape, field, single))


def numbers(value: Any) -> Optional[Array]:
    """Read lists as an array of numbers or truth values; None where they are ragged or hold anything else."""
    if type(value) not in (list, int, float, bool):
        return None
    try:
        array = np.array(value)
    except (ValueError, np.VisibleDeprecationWarning):  # the warning, where it was made an error
        return None
    return array if array.dtype.kind in "iufb" else None


def misfit(value: Any, array: Optional[Array], shape: Shape, field: str, single: bool) -> str:
    """Say what is wrong with a value that is no array [batch, *shape], at the first place where it is."""
    expected = shape_text(shape)
    if array is not None:
        many = "a list of them" if shape else "a list of such"
        alone = f"{expected} or {many}" if single else f"{many}, each {expected}"
        return f"{field}: expected {alone}, got the shape {list(array.shape)}"
    if not isinstance(value, list):
        return f"{field}: expected {expected}{' or a list of them' if single else ''}, got {kind_of(value)}"
    wrong = first_no_number(value, field)
    if wrong is not None:
        return wrong
    for index, row in enumerate(value):
        there = numbers(row)
        if there is None or there.shape != shape:
            got = "lists of different lengths" if there is None else f"the shape {list(there.shape)}"
            return f"{field}[{index}]: expected {expected}, got {got}"
    return f"{field}: expected {expected} or a list of them, got lists of different lengths"


def first_no_number(value: List[Any], field: str) -> Optional[str]:
    """Say what and where the first thing in nested lists is that is neither number nor list."""
    stack = [(value, field)]
    while stack:
        here, name = stack.pop()
        for index, item in enumerate(here):
            if isinstance(item, list):
                stack.append((item, f"{name}[{index}]"))
            elif not isinstance(item, (int, float)):
                return f"{name}[{index}]: expected a number, got {kind_of(item)}"
    return None


def write(leaf: Leaf, values: Array, field: str) -> Array:
    """Write the flat vectors of one leaf's values, [batch, *shape], if all are of its space."""
    if is_float(leaf.space):
        check_kind(values, "iuf", FLOATS, field)
        return finite(leaf.write(values), values, field)
    low, high = bounds(leaf.space)
    return leaf.write(whole(values, low, high, field, leaf.space["type"] == "Discrete"))


def bounds(space: Space) -> Tuple[Any, Any]:
    """Give the smallest and the largest integer of a space that holds integers; for MultiDiscrete one each."""
    kind = space["type"]
    if kind == "Box":
        limits = np.iinfo(space["dtype"]) if space["dtype"] != "bool" else None
        return (limits.min, limits.max) if limits else (0, 1)
    if kind == "MultiDiscrete":
        return 0, np.array(space["nvec"]).reshape(shape_of(space)) - 1
    start = start_of(space)
    return (0, 1) if kind == "MultiBinary" else (start, start + space["n"] - 1)


def finite(flat: Array, values: Array, field: str) -> Array:
    """Give back the flat vectors, if none of their numbers is NaN or infinite, also after they were made float32."""
    if is_finite(flat):
        return flat
    row = int(np.argwhere(~np.isfinite(flat))[0][0])
    value = values[row].ravel()[int(np.argwhere(~np.isfinite(flat[row]))[0][0])]
    what = "is beyond the range of float32" if np.isfinite(value) else "is no finite number"
    raise bad(f"{field}[{row}]: {value} {what}")


def is_finite(flat: Array) -> bool:
    """Tell whether all of the numbers are finite."""
    # A sum of squares is finite only if all of them are, and takes a quarter of the time
    return math.isfinite(np.vdot(flat, flat)) or bool(np.isfinite(flat).all())


def whole(values: Array, low: Any, high: Any, field: str, choice: bool = False) -> Array:
    """Give the values as integers from ``low`` to ``high``, if they are; truth values are, of bits and of a choice."""
    bits = np.all(low == 0) and np.all(high == 1)
    check_kind(values, "iufb" if bits or choice else "iuf", BITS if bits else INTEGERS, field)
    if values.dtype.kind == "f" and not (np.isfinite(values).all() and (values == np.floor(values)).all()):
        row = int(np.argwhere(~(values == np.floor(values)) | ~np.isfinite(values))[0][0])
        raise bad(f"{field}[{row}]: expected {BITS if bits else INTEGERS}, got {value_text(values[row])}")
    outside = (values < low) | (values > high)
    if outside.any():
        row = int(np.argwhere(outside)[0][0])
        bounds = value_text(np.asarray(high))
        raise bad(f"{field}[{row}]: expected integers from {low} to {bounds}, got {value_text(values[row])}")
    return values.astype(np.int64, copy=False)


def check_kind(values: Array, kinds: str, expected: str, field: str) -> None:
    """Refuse another kind of number, such as truth values where a quantity is expected."""
    if values.dtype.kind not in kinds:
        raise bad(f"{field}: expected {expected}, got {'true or false' if values.dtype.kind == 'b' else values.dtype}")


def shape_text(shape: Shape) -> str:
    """Put a shape in words."""
    if not shape:
        return "a number"
    return f"{shape[0]} numbers" if len(shape) == 1 else f"numbers of the shape {list(shape)}"


def kind_of(value: Any) -> str:
    """Name the kind of a JSON value."""
    names: Dict[type, str] = {dict: "an object", list: "a list", str: "a string", bool: "true or false"}
    return "null" if value is None else names.get(type(value), f"the number {value}")


def value_text(value: Array) -> str:
    """Put a small array as JSON shows it; of a large one its shape."""
    return str(value.tolist()) if value.size <= 8 else f"an array of the shape {list(value.shape)}"
