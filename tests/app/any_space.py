"""Spaces of Gym, and values of them, as hypothesis draws them."""

from __future__ import annotations

from typing import Any

import gym
import numpy as np
from gym import spaces
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

SHAPES = arrays.array_shapes(max_dims=2, max_side=4)


@st.composite
def boxes(draw: st.DrawFn) -> spaces.Box:
    """Boxes of numbers as large as float32 holds exactly enough, of every dtype that environments use."""
    dtype = draw(st.sampled_from([np.float32, np.float64, np.uint8, np.int64]))
    low, high = (0, 255) if dtype is np.uint8 else draw(st.sampled_from([(-1, 1), (-10, 10), (-1000, 5000)]))
    return spaces.Box(low, high, draw(SHAPES), dtype)


plain = st.one_of(
    boxes(),
    st.integers(1, 5).map(spaces.Discrete),
    st.lists(st.integers(1, 4), min_size=1, max_size=3).map(spaces.MultiDiscrete),
    st.integers(1, 4).map(spaces.MultiBinary),
)
keys = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=5)
any_space = st.recursive(
    plain,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(spaces.Tuple),
        st.dictionaries(keys, inner, min_size=1, max_size=3).map(spaces.Dict),
    ),
    max_leaves=5,
)


def values(space: gym.Space) -> st.SearchStrategy[Any]:
    """Values of the space, of the types that an environment gives them in."""
    if isinstance(space, spaces.Discrete):
        return st.integers(0, space.n - 1)
    if isinstance(space, spaces.MultiDiscrete):
        return st.tuples(*(st.integers(0, int(n) - 1) for n in space.nvec)).map(np.array)
    if isinstance(space, spaces.MultiBinary):
        return arrays.arrays(np.int8, space.n, elements=st.integers(0, 1))
    if isinstance(space, spaces.Tuple):
        return st.tuples(*map(values, space.spaces))
    if isinstance(space, spaces.Dict):
        return st.fixed_dictionaries({key: values(part) for key, part in space.spaces.items()})
    low, high = space.low.min().item(), space.high.max().item()
    width = 8 * space.dtype.itemsize
    elements = st.floats(low, high, width=width) if space.dtype.kind == "f" else st.integers(low, high)
    return arrays.arrays(space.dtype, space.shape, elements=elements)


def as_json(value: Any) -> Any:
    """An observation as a client writes it."""
    if isinstance(value, dict):
        return {key: as_json(part) for key, part in value.items()}
    if isinstance(value, tuple):
        return [as_json(part) for part in value]
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value
