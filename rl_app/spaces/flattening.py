"""Observations as RLlib flattens them: one part after the other, in one vector of numbers."""

from __future__ import annotations

import math
from typing import Any, Callable, Iterator, NamedTuple, Sequence, Tuple

import numpy as np

from rl_app.errors import UserError
from rl_app.spaces.description import Array, Space, is_float, leaves, limits_of, shape_of, start_of

# RLlib takes any box of this shape for an Atari machine's memory, and scales it
ATARI_RAM_SHAPE = [128]
# RLlib cuts and shrinks any box of this shape, an Atari machine's screen
ATARI_SCREEN_SHAPE = [210, 160, 3]


class Leaf(NamedTuple):
    """One part of an observation that is no Tuple or Dict: where it lies, and how it goes into the flat vector."""

    path: Tuple[Any, ...]
    space: Space
    width: int
    write: Callable[[Sequence[Any]], Array]

    def pick(self, observation: Any) -> Any:
        """Take this part of an observation."""
        for key in self.path:
            observation = observation[key]
        return observation


def size(space: Space) -> int:
    """Count the numbers that an observation of the space has in RLlib's flat vector."""
    return sum(leaf.width for leaf in leaves_of(space, np.float32))


def flat_limits(space: Space) -> Tuple[Array, Array]:
    """Give the least and the greatest value of each number of the flat vector, infinite where there is none."""
    pairs = [_flat_limits(leaf) for _, leaf in leaves(space)]
    low, high = (np.concatenate(side) for side in zip(*pairs))
    return low, high


def _flat_limits(leaf: Space) -> Tuple[Array, Array]:
    if leaf["type"] == "Box":
        scaled = leaf["shape"] == ATARI_RAM_SHAPE
        low, high = (side.astype(np.float64).ravel() for side in limits_of(leaf))
        return (np.full_like(low, -math.inf), np.full_like(high, math.inf)) if scaled else (low, high)
    if leaf["type"] == "MultiDiscrete":
        return np.zeros(len(leaf["nvec"])), np.array(leaf["nvec"], np.float64) - 1
    return np.zeros(int(leaf["n"])), np.ones(int(leaf["n"]))


def leaves_of(space: Space, dtype: Any) -> Iterator[Leaf]:
    """Yield the parts of an observation, in RLlib's order; raises UserError for what RLlib makes something else of."""
    for path, leaf in leaves(space):
        if leaf["type"] == "Discrete":
            yield Leaf(path, leaf, leaf["n"], _one_hot(leaf["n"], start_of(leaf), dtype))
        elif leaf["type"] == "Box" and leaf["shape"] == ATARI_SCREEN_SHAPE:
            raise UserError("observations of the shape (210, 160, 3) are Atari screens, which RLlib cuts: wrap the env")
        elif leaf["type"] == "Box" and leaf["shape"] == ATARI_RAM_SHAPE:
            yield Leaf(path, leaf, ATARI_RAM_SHAPE[0], _atari_ram(leaf["dtype"], dtype))
        else:
            width = math.prod(shape_of(leaf))
            yield Leaf(path, leaf, width, _as_it_is(width, leaf["dtype"] if is_float(leaf) else dtype, dtype))


def _one_hot(width: int, start: int, dtype: Any) -> Callable[[Sequence[Any]], Array]:
    def write(values: Sequence[Any]) -> Array:
        rows = np.zeros((len(values), width), dtype)
        rows[np.arange(len(values)), np.asarray(values, np.int64) - start] = 1.0
        return rows

    return write


def _as_it_is(width: int, own: Any, dtype: Any) -> Callable[[Sequence[Any]], Array]:
    same = np.dtype(own) == np.dtype(dtype)

    def write(values: Sequence[Any]) -> Array:
        # Of the space's own dtype first, of which the agent was shown them
        array = np.array(values, own).reshape(len(values), width)
        return array if same else array.astype(dtype)

    return write


def _atari_ram(own: str, dtype: Any) -> Callable[[Sequence[Any]], Array]:
    def write(values: Sequence[Any]) -> Array:
        # In the space's dtype, because RLlib's subtraction wraps around in uint8
        return ((np.asarray(values, own) - 128) / 128).astype(dtype)

    return write
