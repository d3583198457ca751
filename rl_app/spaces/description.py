"""Gym spaces as plain data, for policy.json: a space is named, sized and acted in without unpickling anything.

A space is of parts: Tuple and Dict hold other spaces, and what is left is a leaf. RLlib sees each leaf as it is, but
for what it gets wrong: there the environment's wrapper, evaluate and serve all translate by what stands here.
"""

from __future__ import annotations

import math
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

import numpy as np

Array = Any  # numpy 1.23 has no type for "an array of this shape and dtype"
Space = Mapping[str, Any]
Path = Tuple[Any, ...]

KINDS = ("Box", "Discrete", "MultiDiscrete", "MultiBinary", "Tuple", "Dict")


def kind_of(space: Any) -> Optional[str]:
    """Name the kind of Gym's that a space is of, or that it inherits from; None where it is of none."""
    return next((kind.__name__ for kind in type(space).__mro__ if kind.__name__ in KINDS), None)


def describe(space: Any) -> Dict[str, Any]:
    """Give the space as JSON data: its ``type`` and what that type is made of; an infinite bound is None.

    A MultiDiscrete or MultiBinary of other than one dimension has its ``shape``, and its counts in a row.

    Raises:
        ValueError: a type of space that Gym 0.22 does not have.
    """
    kind = kind_of(space)
    if kind == "Box":
        return {
            "type": kind,
            "shape": list(space.shape),
            "dtype": space.dtype.name,
            "low": _bounds(space.low),
            "high": _bounds(space.high),
        }
    if kind == "Discrete":
        return {"type": kind, "n": int(space.n), "start": int(getattr(space, "start", 0))}
    if kind in ("MultiDiscrete", "MultiBinary"):
        shape = {} if len(space.shape) == 1 else {"shape": list(space.shape)}
        if kind == "MultiBinary":
            return {"type": kind, "n": math.prod(space.shape), **shape}
        if np.any(getattr(space, "start", 0)):
            raise ValueError("a MultiDiscrete that does not start at 0")
        return {"type": kind, "nvec": space.nvec.ravel().tolist(), **shape}
    if kind == "Tuple":
        return {"type": kind, "spaces": [describe(part) for part in space.spaces]}
    if kind == "Dict":
        return {"type": kind, "spaces": {key: describe(part) for key, part in space.spaces.items()}}
    raise ValueError(f"{type(space).__name__} is no space of Gym")


def outline(described: Any) -> Any:
    """Return a description without bounds and types of numbers: what a network's inputs and outputs depend on."""
    if isinstance(described, dict):
        return {key: outline(part) for key, part in described.items() if key not in ("low", "high", "dtype")}
    return [outline(part) for part in described] if isinstance(described, list) else described


def _bounds(array: Any) -> List[Optional[float]]:
    return [value if math.isfinite(value) else None for value in array.ravel().tolist()]


# ---- parts


def leaves(space: Space, path: Path = ()) -> Iterator[Tuple[Path, Space]]:
    """Yield the parts that are no Tuple or Dict, with the keys that lead to each, in RLlib's order."""
    if space["type"] == "Dict":
        for key, part in space["spaces"].items():
            yield from leaves(part, (*path, key))
    elif space["type"] == "Tuple":
        for index, part in enumerate(space["spaces"]):
            yield from leaves(part, (*path, index))
    else:
        yield path, space


def nested(space: Space, values: Iterator[Any]) -> Any:
    """Build a value of the space from those of its leaves."""
    if space["type"] == "Dict":
        return {key: nested(part, values) for key, part in space["spaces"].items()}
    if space["type"] == "Tuple":
        return tuple(nested(part, values) for part in space["spaces"])
    return next(values)


def shape_of(leaf: Space) -> Tuple[int, ...]:
    """Give the shape of a leaf's values."""
    if "shape" in leaf:
        return tuple(leaf["shape"])
    if leaf["type"] == "MultiDiscrete":
        return (len(leaf["nvec"]),)
    return (int(leaf["n"]),) if leaf["type"] == "MultiBinary" else ()


def start_of(leaf: Space) -> int:
    """Give the first value of a Discrete; 0 of every other leaf."""
    return int(leaf.get("start", 0))


def limits_of(box: Space) -> Tuple[Array, Array]:
    """Give the bounds of a Box as arrays of its shape and dtype, infinite where it has none."""
    low = [-math.inf if bound is None else bound for bound in box["low"]]
    high = [math.inf if bound is None else bound for bound in box["high"]]
    return tuple(np.array(side, box["dtype"]).reshape(box["shape"]) for side in (low, high))  # type: ignore[return-value]


def is_float(leaf: Space) -> bool:
    """Tell whether a leaf holds quantities, and not whole numbers."""
    return bool(leaf["type"] == "Box" and leaf["dtype"].startswith("float"))


# ---- actions: what RLlib chooses, and what the environment is given


def chosen(leaf: Space) -> Space:
    """Give the leaf of an action as RLlib 0.8.5 can choose in it, which is flat, from 0, and has a distribution.

    A MultiBinary is as many choices of two; an integer Box is one of quantities, whose numbers are rounded later.
    """
    kind = leaf["type"]
    if kind == "Discrete":
        return {**leaf, "start": 0}
    if kind == "MultiBinary":
        return {"type": "MultiDiscrete", "nvec": [2] * int(leaf["n"])}
    if kind == "MultiDiscrete":
        return {"type": kind, "nvec": leaf["nvec"]}
    dtype = leaf["dtype"] if leaf["dtype"] == "float64" else "float32"
    return {**leaf, "shape": [math.prod(leaf["shape"])], "dtype": dtype}


class Actor:
    """Turns what was chosen into the values of one leaf of the action; see :func:`chosen`."""

    def __init__(self, leaf: Space) -> None:
        self._kind: str = leaf["type"]
        self._is_float = is_float(leaf)
        self._shape = shape_of(leaf)
        self._start = start_of(leaf)
        self.low: Array = None
        self.high: Array = None
        if self._kind == "Box":
            self.low, self.high = limits_of(leaf)

    def of_batch(self, values: Array) -> Array:
        """Return the same for values with the batch first."""
        return self._of(np.asarray(values), np.shape(values)[:1])

    def __call__(self, value: Any) -> Any:
        return self._of(np.asarray(value), ())

    def _of(self, values: Array, batch: Tuple[int, ...]) -> Array:
        if self._kind == "Discrete":
            return values + self._start if self._start else values[()]
        shaped = values.reshape((*batch, *self._shape))
        if self._kind == "Box":
            return self._in_box(shaped)
        return shaped.astype(np.int8 if self._kind == "MultiBinary" else np.int64)

    def _in_box(self, values: Array) -> Array:
        """Give the values the Box's dtype, and make them whole where it is; quantities stay, clipped or not."""
        if self._is_float:
            return values.astype(self.low.dtype)
        whole = np.rint(values.astype(np.float64))
        # A bound such as that of int64 is no float: what reaches it is set to it, and not converted
        inside = np.where((whole > self.low) & (whole < self.high), whole, 0).astype(self.low.dtype)
        return np.where(whole >= self.high, self.high, np.where(whole <= self.low, self.low, inside))


def actors(space: Space) -> List[Actor]:
    """Give one for each leaf of the space."""
    return [Actor(leaf) for _, leaf in leaves(space)]


def action_of(space: Space, values: Sequence[Any]) -> Any:
    """Build an action as ``env.step`` takes it, from those of its leaves."""
    return nested(space, iter(values))
