"""Observations as clients send them, checked against the policy's space and made RLlib's flat vectors.

What is not of the space is refused with the field, what was expected and what came.
"""

from __future__ import annotations

import math
from itertools import chain
from typing import Any, Iterable, Mapping, Optional, Sequence

import numpy as np

from rl_app.policy.policy import Policy
from rl_app.serving.arrays import batch, is_finite, kind_of, numbers, shape_text, write
from rl_app.serving.refusal import bad
from rl_app.spaces.description import Array, Space, shape_of
from rl_app.spaces.flattening import Leaf


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
        """Read from JSON: an observation of the space, a list of them, or, for Dict, a list for each of its keys."""
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
        """Read a matrix with :attr:`columns` numbers a row; for a plain space, also in the space's own shape."""
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
        """Return a Dict observation, or one whose leaves all have the batch first."""
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
        """Return a list of Dict or Tuple observations, or one Tuple observation."""
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
        """Check that a value has the parts that its space has, all the way down."""
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
        """Return the flat vectors of checked parts, a part a leaf with the batch first."""
        written = [write(leaf, part, name) for leaf, part, name in zip(self._leaves, parts, names)]
        return written[0] if len(written) == 1 else np.concatenate(written, axis=1)


def is_plain(leaf: Leaf) -> bool:
    """Tell whether a space's first leaf is all of it, and a vector of quantities."""
    space = leaf.space
    return not leaf.path and space["type"] == "Box" and space["dtype"].startswith("float") and len(space["shape"]) == 1


def described(space: Space) -> str:
    """Say what a value of the space is, in JSON's words."""
    kind = space["type"]
    if kind == "Dict":
        return f"an object with {', '.join(space['spaces'])}"
    if kind == "Tuple":
        return f"a list of {len(space['spaces'])} parts"
    return shape_text(shape_of(space))


def named(field: str, path: Iterable[Any]) -> str:
    """Name a part of a field: ``observations.position``, ``observations.1``."""
    return ".".join([field, *map(str, path)])


def picked(leaf: Leaf, value: Any, field: str) -> Any:
    """Take the leaf's part of one observation, whose keys have been checked."""
    try:
        return leaf.pick(value)
    except (KeyError, IndexError, TypeError):
        raise bad(f"{named(field, leaf.path)}: is missing") from None


def depth(value: Any) -> int:
    """Count how deeply lists are nested."""
    levels, level = 0, [value] if isinstance(value, list) else []
    while level:
        levels, level = levels + 1, [item for each in level for item in each if isinstance(item, list)]
    return levels


def nesting(space: Space) -> int:
    """Count how deeply the lists are nested in which JSON writes one value of the space."""
    if space["type"] == "Tuple":
        return 1 + max((nesting(part) for part in space["spaces"]), default=0)
    return 0 if space["type"] == "Dict" else len(shape_of(space))
