"""Environments as hypothesis draws them: spaces, rewards and endings of every kind.

Some are wrong. What each does is a function of its parts alone, so that a failure is repeated by its ``repr``.
"""

from __future__ import annotations

import pickle
from decimal import Decimal
from typing import Any, Callable, Dict, NamedTuple, Optional, Tuple

import gym
import numpy as np
from gym import spaces
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tests.app.any_space import keys

FLOATS = (np.float16, np.float32, np.float64)
INTEGERS = (np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32)
WIDEST = 1e6
"""Numbers drawn where a space has no bound, or one that is further away."""

REWARDS: Dict[str, Callable[[int], Any]] = {
    "float": lambda step: 0.5 * step,
    "int": lambda step: step,
    "bool": lambda step: step % 2 == 0,
    "float32": lambda step: np.float32(step),
    "int8": lambda step: np.int8(step),
    "array of one": lambda step: np.array([0.5 * step]),
    "array without a dimension": lambda step: np.array(0.5 * step),
    "decimal": lambda step: Decimal(step),
    "huge": lambda step: 1e30,
    "None": lambda step: None,
    "NaN at 7": lambda step: float("nan") if step == 7 else 1.0,
}
ENDINGS: Dict[str, Callable[[int], Any]] = {
    "True": lambda step: step >= 6,
    "at once": lambda step: True,
    "numpy": lambda step: np.bool_(step >= 6),
    "number": lambda step: int(step >= 6),
    "never": lambda step: False,
    "None": lambda step: None,
}
INFOS: Dict[str, Any] = {"dict": {}, "None": None, "numpy": {"n": np.int64(1)}, "list": []}
FORMS: Dict[str, Callable[[Any], Any]] = {
    "as declared": lambda value: value,
    "as lists": lambda value: value.tolist() if isinstance(value, np.ndarray) else value,
    "as float64": lambda value: value.astype(np.float64) if isinstance(value, np.ndarray) else float(value),
    "the same array": lambda value: value,
}


class Described(NamedTuple):
    """An environment, and the algorithm that it is tried with."""

    algorithm: str
    observations: gym.Space
    actions: gym.Space
    form: str
    reward: str
    ending: str
    info: str
    filtered: bool


@st.composite
def boxes(draw: st.DrawFn) -> spaces.Box:
    shape = draw(arrays.array_shapes(min_dims=0, max_dims=4, min_side=1, max_side=3))
    if draw(st.booleans()):
        dtype = draw(st.sampled_from(FLOATS))
        low, high = draw(st.sampled_from([(-1, 1), (0, 100), (-10, -5), (-np.inf, np.inf), (0, np.inf), (-3e38, 3e38)]))
        most = np.finfo(dtype).max
        low, high = (side if np.isinf(side) else np.clip(side, -most, most) for side in (low, high))
    else:
        dtype = draw(st.sampled_from(INTEGERS))
        info = np.iinfo(dtype)
        low, high = draw(st.sampled_from([(0, 1), (info.min, info.max), (max(info.min, -3), 7)]))
    return spaces.Box(np.full(shape, low, dtype), np.full(shape, high, dtype), dtype=dtype)


small_shapes = arrays.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=2)
leaves = st.one_of(
    boxes(),
    st.builds(spaces.Discrete, st.integers(1, 4), start=st.integers(-3, 3)),
    small_shapes.flatmap(lambda shape: arrays.arrays(np.int64, shape, elements=st.integers(1, 4))).map(
        spaces.MultiDiscrete
    ),
    small_shapes.map(lambda shape: spaces.MultiBinary(list(shape))),
)


def _deeper(inner: st.SearchStrategy[gym.Space]) -> st.SearchStrategy[gym.Space]:
    return st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(spaces.Tuple),
        st.dictionaries(keys, inner, min_size=1, max_size=3).map(spaces.Dict),
    )


nested = st.one_of(leaves, _deeper(leaves), _deeper(st.one_of(leaves, _deeper(leaves))))
"""At most three deep."""


def mostly(usual: str, others: Any) -> st.SearchStrategy[str]:
    """What is usual half of the time, so that most environments are wrong in one thing at most."""
    return st.one_of(st.just(usual), st.just(usual), st.just(usual), st.sampled_from(list(others)))


environments = st.builds(
    Described,
    st.sampled_from(["PPO", "PPO", "PPO", "A2C", "PG", "DQN", "SAC", "DDPG"]),
    nested,
    st.one_of(leaves, nested),
    mostly("as declared", FORMS),
    mostly("float", REWARDS),
    mostly("True", ENDINGS),
    mostly("dict", INFOS),
    st.booleans(),
)


def value(space: gym.Space, rng: np.random.Generator) -> Any:
    """A value of the space, of those that float32 holds: Gym's own sample fails for the widest."""
    if isinstance(space, spaces.Discrete):
        return space.start + int(rng.integers(space.n))
    if isinstance(space, spaces.Tuple):
        return tuple(value(part, rng) for part in space.spaces)
    if isinstance(space, spaces.Dict):
        return {key: value(part, rng) for key, part in space.spaces.items()}
    if not isinstance(space, spaces.Box):
        counts = getattr(space, "nvec", 2)
        return (rng.random(space.shape) * counts).astype(space.dtype)
    low, high = (np.clip(side.astype(np.float64), -WIDEST, WIDEST) for side in (space.low, space.high))
    drawn = rng.uniform(low, high, space.shape)
    return np.asarray(drawn if space.dtype.kind == "f" else np.floor(drawn)).astype(space.dtype)


def given(observation: Any, form: str) -> Any:
    """The observation as the environment gives it."""
    if isinstance(observation, tuple):
        return tuple(given(part, form) for part in observation)
    if isinstance(observation, dict):
        return {key: given(part, form) for key, part in observation.items()}
    return FORMS[form](observation)


def constructor(described: Described) -> Callable[[Any], gym.Env]:
    """Makes the environment; each has spaces of its own."""
    pickled = pickle.dumps((described.observations, described.actions))

    class Drawn(gym.Env):
        def __init__(self) -> None:
            self.observation_space, self.action_space = pickle.loads(pickled)
            self.seed(0)
            self.kept: Any = None

        def seed(self, seed: Optional[int] = None) -> None:
            self.rng = np.random.default_rng(seed)

        def look(self) -> Any:
            observation = given(value(self.observation_space, self.rng), described.form)
            if described.form != "the same array" or not isinstance(observation, np.ndarray):
                return observation
            if self.kept is None:
                self.kept = observation
            self.kept[...] = observation
            return self.kept

        def reset(self) -> Any:
            self.steps = 0
            return self.look()

        def step(self, action: Any) -> Tuple[Any, Any, Any, Any]:
            assert self.action_space.contains(action), f"was given {action!r}"
            self.steps += 1
            step = self.steps
            return self.look(), REWARDS[described.reward](step), ENDINGS[described.ending](step), INFOS[described.info]

    return lambda env_config: Drawn()
