"""Observations as an environment gives them, made what its space says they are, and copied.

What RLlib 0.8.5 would take wrongly and in silence is made right here or refused: a dtype that is not the space's, a
truth value for a number, a Dict in another order, a number that is not finite, an array that the environment will
write to again.
"""

from __future__ import annotations

import warnings
from collections import OrderedDict
from typing import Any, Callable, List, Mapping, NamedTuple, Optional, Tuple

import numpy as np

from rl_app.spaces.description import Space, is_float, limits_of, shape_of, start_of

Array = Any  # numpy 1.23 has no type for "an array of this shape and dtype"
Read = Callable[[Any], Any]

FLOAT32 = np.finfo(np.float32)


class MisfitError(Exception):
    """What was given is no value of the space, and cannot be made one."""


class NotFiniteError(MisfitError):
    """A number in it is NaN or infinite, or is so in the network's float32."""


class Found(NamedTuple):
    """What a reader met that is no reason to end: values outside the space, and dtypes that were cast."""

    strays: List[str]
    casts: List[str]


class Reader:
    """Reads observations of one space; ``as_rllib`` gives them flat and from 0, where RLlib takes them only so.

    Attributes:
        found: what was met since it was last emptied.
    """

    def __init__(self, space: Space, as_rllib: bool) -> None:
        self.found = Found([], [])
        self._as_rllib = as_rllib
        self.read: Read = self._reader(space, "")

    def rows(self, values: Any) -> Optional[Array]:
        """Read many observations in one array; None where they have to be read one by one."""
        return self.read.rows(values) if isinstance(self.read, Numbers) else None

    def _reader(self, space: Space, where: str) -> Read:
        kind = space["type"]
        if kind == "Dict":
            return _dict({key: self._reader(part, f"{where}[{key!r}]") for key, part in space["spaces"].items()}, where)
        if kind == "Tuple":
            return _tuple([self._reader(part, f"{where}[{i}]") for i, part in enumerate(space["spaces"])], where)
        if kind == "Discrete":
            return _discrete(int(space["n"]), start_of(space), self._as_rllib, where)
        return Numbers(space, self._seen(space, where), where, self.found)

    def _seen(self, leaf: Space, where: str) -> Tuple[int, ...]:
        """Return the shape in which a leaf is handed on."""
        return seen_shape(leaf, top=not where) if self._as_rllib else shape_of(leaf)


def seen_shape(leaf: Space, top: bool) -> Tuple[int, ...]:
    """Give the shape in which RLlib is shown a leaf that is no Discrete: a row, unless it has a network for the shape.

    A Tuple or Dict is a row in any case.
    """
    shape = shape_of(leaf)
    own = leaf["type"] == "Box" and 1 <= len(shape) <= (3 if top else len(shape))
    return shape if own else (int(np.prod(shape)),)


def _dict(parts: Mapping[str, Read], where: str) -> Read:
    def read(value: Any) -> Any:
        # RLlib goes through an OrderedDict as it stands, and takes its values for those of the space's keys
        if not isinstance(value, Mapping) or len(value) != len(parts):
            raise MisfitError(f"{shown(value)}{where and f' at {where}'}: expected a dict with {', '.join(parts)}")
        try:
            return OrderedDict([(key, part(value[key])) for key, part in parts.items()])
        except KeyError:
            raise MisfitError(f"the keys {', '.join(map(str, value))}{where and f' at {where}'}") from None

    return read


def _tuple(parts: List[Read], where: str) -> Read:
    def read(value: Any) -> Any:
        if not isinstance(value, (tuple, list)) or len(value) != len(parts):
            raise MisfitError(f"{shown(value)}{where and f' at {where}'}: expected {len(parts)} parts")
        return tuple([part(each) for part, each in zip(parts, value)])

    return read


def _discrete(n: int, start: int, as_rllib: bool, where: str) -> Read:
    first, end = start, start + n
    shift = start if as_rllib else 0

    def read(value: Any) -> int:
        number = value if type(value) is int else whole_number(value, where)
        if first <= number < end:
            return number - shift
        raise MisfitError(f"{shown(value)}{where and f' at {where}'}")

    return read


def whole_number(value: Any, where: str = "") -> int:
    """Give the integer that a number, a truth value or an array of one of them is; raises MisfitError."""
    try:
        number = value.item() if isinstance(value, (np.generic, np.ndarray)) else value
        if isinstance(number, (int, float)) and int(number) == number:
            return int(number)
    except (OverflowError, ValueError):  # infinite, NaN, an array of several
        pass
    raise MisfitError(f"{shown(value)}{where and f' at {where}'}: expected an integer")


class Numbers:
    """Reads the numbers of a Box, a MultiDiscrete or a MultiBinary."""

    def __init__(self, leaf: Space, seen: Tuple[int, ...], where: str, found: Found) -> None:
        self._where, self._found = where, found
        self._shape, self._seen = shape_of(leaf), seen
        self._is_float = is_float(leaf)
        self._box = leaf["type"] == "Box"
        self._dtype = np.dtype(leaf["dtype"] if self._box else np.int8 if leaf["type"] == "MultiBinary" else np.int64)
        self._low, self._high = _limits(leaf, self._shape)
        self._all = np.ones(self._shape, bool).tobytes()
        self._reshaped = seen != self._shape
        self._bounded = self._is_float or not _all_of(self._dtype, self._low, self._high)

    def __call__(self, value: Any) -> Array:
        if type(value) is np.ndarray and value.dtype is self._dtype and value.shape == self._shape:
            array = value.copy()
        else:
            array = self._cast(value)
        # A NaN is in no bounds, and none of float32's is infinite: two comparisons see all that can be wrong
        if self._bounded and not (
            (array >= self._low).tobytes() == self._all == (array <= self._high).tobytes()  # in half the time of all()
        ):
            self._judge(array)
        return array.reshape(self._seen) if self._reshaped else array

    def rows(self, values: Any) -> Optional[Array]:
        """Read many at once, in one array; None where they have to be looked at one by one."""
        if type(values) is not np.ndarray or values.dtype is not self._dtype or values.shape[1:] != self._shape:
            return None
        if self._bounded and b"\0" in ((values >= self._low) & (values <= self._high)).tobytes():
            return None
        return values.copy().reshape(len(values), *self._seen)

    def _cast(self, value: Any) -> Array:
        try:
            array = value if isinstance(value, np.ndarray) else _array_of(value)
        except (ValueError, np.VisibleDeprecationWarning):
            raise self._misfit(value, "lists of different lengths") from None
        if array.dtype.kind not in "biuf":
            raise self._misfit(value, f"{array.dtype} in place of {self._dtype}")
        if array.shape != self._shape:
            raise self._misfit(value, f"the shape {list(array.shape)} in place of {list(self._shape)}")
        with np.errstate(over="ignore", invalid="ignore"):
            cast = array.astype(self._dtype)
            if not self._is_float and not np.array_equal(cast, array):
                raise self._misfit(value, f"what is no {self._dtype}")
        # What a list holds has a dtype of numpy's, and the integers of a MultiDiscrete may be of any
        if self._box and isinstance(value, (np.ndarray, np.generic)) and array.dtype != self._dtype:
            self._found.casts.append(f"{array.dtype} observations{self._at()}, which are cast to {self._dtype}")
        return cast

    def _judge(self, array: Array) -> None:
        """Raise for what is not finite in the network's float32; note what is only out of bounds."""
        with np.errstate(over="ignore"):
            bad = np.argwhere(~np.isfinite(array.astype(np.float32)))
        if len(bad):
            index = tuple(bad[0].tolist())
            number = array[index]
            too_large = ", which is beyond float32," if np.isfinite(number) else ""
            raise NotFiniteError(f"{number}{too_large} at {self._where}{list(index) if index else ''}".rstrip())
        slack = _rounding(self._low, self._high) if self._is_float else 0
        outside = np.argwhere((array < self._low - slack) | (array > self._high + slack))
        if len(outside):
            index = tuple(outside[0].tolist())
            self._found.strays.append(f"{array[index]} at {self._where}{list(index) if index else ''}".rstrip())

    def _misfit(self, value: Any, what: str) -> MisfitError:
        return MisfitError(f"{shown(value)}{self._at()}: {what}")

    def _at(self) -> str:
        return f" at {self._where}" if self._where else ""


def _array_of(value: Any) -> Array:
    with warnings.catch_warnings():
        warnings.simplefilter("error", np.VisibleDeprecationWarning)  # of lists of different lengths
        return np.array(value)


def _limits(leaf: Space, shape: Tuple[int, ...]) -> Tuple[Array, Array]:
    """Return the bounds of a leaf's numbers; those of quantities within what float32 holds."""
    if leaf["type"] == "MultiBinary":
        return np.zeros(shape, np.int8), np.ones(shape, np.int8)
    if leaf["type"] == "MultiDiscrete":
        return np.zeros(shape, np.int64), np.array(leaf["nvec"], np.int64).reshape(shape) - 1
    low, high = limits_of(leaf)
    if not is_float(leaf):
        return low, high
    if leaf["dtype"] == "float16":
        low, high = low.astype(np.float32), high.astype(np.float32)
    # As the observation's own dtype, so that comparing converts nothing
    least, most = (low.dtype.type(each) for each in (FLOAT32.min, FLOAT32.max))
    return np.maximum(low, least), np.minimum(high, most)


def _rounding(low: Array, high: Array) -> Array:
    """Return how far a number may be out of its bounds by rounding alone, a few of float32's last digits of them."""
    sizes = [np.where(np.abs(side) < FLOAT32.max, np.abs(side), 1) for side in (low, high)]
    return 4 * FLOAT32.eps * np.maximum(*sizes)


def _all_of(dtype: Any, low: Array, high: Array) -> bool:
    """Return whether the bounds are those of an integer dtype, so that every number of it lies within."""
    if dtype.kind == "b":
        return True
    info = np.iinfo(dtype)
    return bool(np.all(low == info.min) and np.all(high == info.max))


def shown(value: Any) -> str:
    """Return what was given, in a line of reasonable length, with an array's dtype and shape."""
    text = " ".join(repr(value).split())
    kind = f" ({value.dtype} {list(value.shape)})" if isinstance(value, (np.ndarray, np.generic)) else ""
    return f"{text if len(text) <= 200 else f'{text[:200]}…'}{kind}"
