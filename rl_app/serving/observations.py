"""Observations as clients send them, checked against the policy's space and made RLlib's flat vectors.

What is not of the space is refused with the field, what was expected and what came.
"""

from __future__ import annotations

import math
from itertools import chain
from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from rl_app.policies import Leaf, Policy, Space
from rl_app.serving.refusal import bad

Array = Any  # numpy 1.23 has no type for "an array of this shape and dtype"
Shape = Tuple[int, ...]

FLOATS, INTEGERS, BITS = "numbers", "integers", "0 or 1"


class Observations:
    """Reads one observation or a batch of them; every method returns [batch, observation_size], batch at least 1.

    All of them raise :class:`~rl_app.serving.refusal.Refusal`, 400, for what is not of the space.

    Attributes:
        plain: whether an observation is one vector of quantities, as most are.
    """

    def __init__(self, policy: Policy) -> None:
        self.space: Space = policy.observation_space
        self._leaves = policy.leaves
        self._shapes = [shape_of(leaf.space) for leaf in policy.leaves]
        self._widths = [math.prod(shape) for shape in self._shapes]
        self.plain = is_plain(policy.leaves[0])

    @property
    def columns(self) -> int:
        """How many numbers an observation has where it is written as one row."""
        return sum(self._widths)

    def vectors(self, rows: Sequence[Any]) -> Optional[Array]:
        """Plain observations, values of JSON, read at once; None where one of them is none.

        NumPy reads one list of numbers in less time than as many lists of a few.
        """
        try:
            if set(map(len, rows)) != {self.columns}:
                return None
            array = numbers(list(chain.from_iterable(rows)))
        except TypeError:  # something in it is a number or null
            return None
        if array is None or array.dtype.kind == "b" or array.ndim != 1:
            return None
        flat = self._leaves[0].write(array.reshape(len(rows), -1))
        return flat if is_finite(flat) else None

    def from_json(self, value: Any, field: str = "observations") -> Array:
        """From JSON: an observation of the space, a list of them, or, for Dict, a list for each of its keys."""
        if self.plain and type(value) is list:
            flat = self.vectors(value)
            if flat is not None:
                return flat
        if not self._leaves[0].path:
            return write(self._leaves[0], batch(value, self._shapes[0], field), field)
        if self.space["type"] == "Dict" and isinstance(value, dict):
            return self._columnar(value, field)
        return self._rows(value, field)

    def from_array(self, array: Array, field: str) -> Array:
        """From a matrix with :attr:`columns` numbers a row; for a plain space, also in the space's own shape."""
        if array.size == 0:
            raise bad(f"{field}: the batch is empty; at least one observation is expected")
        plain = not self._leaves[0].path
        if plain and array.shape == self._shapes[0] and array.ndim != 2:
            array = array[None]
        if plain and array.shape[1:] == self._shapes[0]:
            return self._flat([array], [field])
        if array.shape == (self.columns,):
            array = array[None]
        if array.ndim != 2 or array.shape[1] != self.columns:
            own = f" or [batch, {', '.join(map(str, self._shapes[0]))}]" if plain and len(self._shapes[0]) > 1 else ""
            raise bad(f"{field}: expected the shape [batch, {self.columns}]{own}, got {list(array.shape)}")
        parts = np.split(array, np.cumsum(self._widths)[:-1], axis=1)
        shaped = [part.reshape((len(array), *shape)) for part, shape in zip(parts, self._shapes)]
        return self._flat(shaped, [named(field, leaf.path) for leaf in self._leaves])

    def _columnar(self, value: Mapping[str, Any], field: str) -> Array:
        """A Dict observation, or one whose leaves all have the batch first."""
        self._check_keys(value, self.space, field)
        names = [named(field, leaf.path) for leaf in self._leaves]
        parts = [
            batch(picked(leaf, value, field), shape, name)
            for leaf, shape, name in zip(self._leaves, self._shapes, names)
        ]
        for name, part in zip(names[1:], parts[1:]):
            if len(part) != len(parts[0]):
                raise bad(f"{name}: has {len(part)} observations, {names[0]} has {len(parts[0])}")
        return self._flat(parts, names)

    def _rows(self, value: Any, field: str) -> Array:
        """A list of Dict or Tuple observations, or one Tuple observation."""
        if not isinstance(value, list):
            raise bad(f"{field}: expected {described(self.space)} or a list of them, got {kind_of(value)}")
        if not value:
            raise bad(f"{field}: the batch is empty; at least one observation is expected")
        single = self.space["type"] == "Tuple" and depth(value) <= nesting(self.space)
        rows = [value] if single else value
        for index, row in enumerate(rows):
            self._check_keys(row, self.space, field if single else f"{field}[{index}]")
        parts, names = [], []
        for leaf, shape in zip(self._leaves, self._shapes):
            name = named(field, leaf.path)
            parts.append(batch([picked(leaf, row, field) for row in rows], shape, name, single=False))
            names.append(name)
        return self._flat(parts, names)

    def _check_keys(self, value: Any, space: Space, field: str) -> None:
        """That a value has the parts that its space has, all the way down."""
        if space["type"] == "Dict":
            if not isinstance(value, dict):
                raise bad(f"{field}: expected {described(space)}, got {kind_of(value)}")
            known = list(space["spaces"])
            for key in [*known, *value]:
                if key not in value:
                    raise bad(f"{field}.{key}: is missing; expected {', '.join(known)}")
                if key not in known:
                    raise bad(f"{field}.{key}: is unknown; expected {', '.join(known)}")
            for key, part in space["spaces"].items():
                self._check_keys(value[key], part, f"{field}.{key}")
        elif space["type"] == "Tuple":
            if not isinstance(value, list) or len(value) != len(space["spaces"]):
                got = f"a list of {len(value)}" if isinstance(value, list) else kind_of(value)
                raise bad(f"{field}: expected {described(space)}, got {got}")
            for index, part in enumerate(space["spaces"]):
                self._check_keys(value[index], part, f"{field}[{index}]")

    def _flat(self, parts: Sequence[Array], names: Sequence[str]) -> Array:
        """The flat vectors of checked parts, a part a leaf with the batch first."""
        written = [write(leaf, part, name) for leaf, part, name in zip(self._leaves, parts, names)]
        return written[0] if len(written) == 1 else np.concatenate(written, axis=1)


def is_plain(leaf: Leaf) -> bool:
    """Whether a space's first leaf is all of it, and a vector of quantities."""
    space = leaf.space
    return not leaf.path and space["type"] == "Box" and space["dtype"].startswith("float") and len(space["shape"]) == 1


def shape_of(space: Space) -> Shape:
    """The shape of a value of a space that is no Tuple or Dict."""
    kind = space["type"]
    if kind == "Box":
        return tuple(space["shape"])
    if kind == "MultiDiscrete":
        return (len(space["nvec"]),)
    return (space["n"],) if kind == "MultiBinary" else ()


def batch(value: Any, shape: Shape, field: str, single: bool = True) -> Array:
    """JSON lists as an array [batch, *shape] of numbers; a value of the plain shape is a batch of one if ``single``."""
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
    """The lists as an array of numbers or truth values; None where they are ragged or hold anything else."""
    if type(value) not in (list, int, float, bool):
        return None
    try:
        array = np.array(value)
    except (ValueError, np.VisibleDeprecationWarning):  # the warning, where it was made an error
        return None
    return array if array.dtype.kind in "iufb" else None


def misfit(value: Any, array: Optional[Array], shape: Shape, field: str, single: bool) -> str:
    """What is wrong with a value that is no array [batch, *shape], at the first place where it is."""
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
    """What and where the first thing in nested lists is that is neither number nor list."""
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
    """The flat vectors of one leaf's values, [batch, *shape], if all are of its space."""
    kind = leaf.space["type"]
    if kind == "Box" and leaf.space["dtype"].startswith("float"):
        check_kind(values, "iuf", FLOATS, field)
        return finite(leaf.write(values), values, field)
    low, high = bounds(leaf.space)
    return leaf.write(whole(values, low, high, field))


def bounds(space: Space) -> Tuple[Any, Any]:
    """The smallest and the largest integer of a space that holds integers; for MultiDiscrete one each."""
    kind = space["type"]
    if kind == "Box":
        limits = np.iinfo(space["dtype"]) if space["dtype"] != "bool" else None
        return (limits.min, limits.max) if limits else (0, 1)
    if kind == "MultiDiscrete":
        return 0, np.array(space["nvec"]) - 1
    return 0, 1 if kind == "MultiBinary" else space["n"] - 1


def finite(flat: Array, values: Array, field: str) -> Array:
    """The flat vectors, if none of their numbers is NaN or infinite, also after they were made float32."""
    if is_finite(flat):
        return flat
    row = int(np.argwhere(~np.isfinite(flat))[0][0])
    value = values[row].ravel()[int(np.argwhere(~np.isfinite(flat[row]))[0][0])]
    what = "is beyond the range of float32" if np.isfinite(value) else "is no finite number"
    raise bad(f"{field}[{row}]: {value} {what}")


def is_finite(flat: Array) -> bool:
    """Whether all of the numbers are finite."""
    # A sum of squares is finite only if all of them are, and takes a quarter of the time
    return math.isfinite(np.vdot(flat, flat)) or bool(np.isfinite(flat).all())


def whole(values: Array, low: Any, high: Any, field: str) -> Array:
    """The values as integers, if they are, and from ``low`` to ``high``."""
    bits = np.all(low == 0) and np.all(high == 1)
    check_kind(values, "iufb" if bits else "iuf", BITS if bits else INTEGERS, field)
    if values.dtype.kind == "f" and not (np.isfinite(values).all() and (values == np.floor(values)).all()):
        row = int(np.argwhere(~(values == np.floor(values)) | ~np.isfinite(values))[0][0])
        raise bad(f"{field}[{row}]: expected {BITS if bits else INTEGERS}, got {shown(values[row])}")
    outside = (values < low) | (values > high)
    if outside.any():
        row = int(np.argwhere(outside)[0][0])
        bounds = shown(np.asarray(high))
        raise bad(f"{field}[{row}]: expected integers from {low} to {bounds}, got {shown(values[row])}")
    return values.astype(np.int64, copy=False)


def check_kind(values: Array, kinds: str, expected: str, field: str) -> None:
    """Refuses another kind of number, such as truth values where a quantity is expected."""
    if values.dtype.kind not in kinds:
        raise bad(f"{field}: expected {expected}, got {'true or false' if values.dtype.kind == 'b' else values.dtype}")


# ---- words


def described(space: Space) -> str:
    """What a value of the space is, in JSON's words."""
    kind = space["type"]
    if kind == "Dict":
        return f"an object with {', '.join(space['spaces'])}"
    if kind == "Tuple":
        return f"a list of {len(space['spaces'])} parts"
    return shape_text(shape_of(space))


def shape_text(shape: Shape) -> str:
    """The shape in words."""
    if not shape:
        return "a number"
    return f"{shape[0]} numbers" if len(shape) == 1 else f"numbers of the shape {list(shape)}"


def kind_of(value: Any) -> str:
    """What a JSON value is."""
    names: Dict[type, str] = {dict: "an object", list: "a list", str: "a string", bool: "true or false"}
    return "null" if value is None else names.get(type(value), f"the number {value}")


def shown(value: Array) -> str:
    """A small array as JSON shows it; of a large one its shape."""
    return str(value.tolist()) if value.size <= 8 else f"an array of the shape {list(value.shape)}"


def named(field: str, path: Iterable[Any]) -> str:
    """``observations.position``, ``observations.1``: a part of a field."""
    return ".".join([field, *map(str, path)])


def picked(leaf: Leaf, value: Any, field: str) -> Any:
    """The leaf's part of one observation, whose keys have been checked."""
    try:
        return leaf.pick(value)
    except (KeyError, IndexError, TypeError):
        raise bad(f"{named(field, leaf.path)}: is missing") from None


def depth(value: Any) -> int:
    """How deeply lists are nested."""
    levels, level = 0, [value] if isinstance(value, list) else []
    while level:
        levels, level = levels + 1, [item for each in level for item in each if isinstance(item, list)]
    return levels


def nesting(space: Space) -> int:
    """How deeply the lists are nested in which JSON writes one value of the space."""
    if space["type"] == "Tuple":
        return 1 + max((nesting(part) for part in space["spaces"]), default=0)
    return 0 if space["type"] == "Dict" else len(shape_of(space))
