"""The spaces that RLlib 0.8.5 is shown in place of an environment's own.

RLlib numbers every Discrete from 0, flattens a MultiDiscrete or a MultiBinary of several dimensions as if it had one,
and looks at every hundredth observation alone. Here all is flat and from 0, and every observation has been looked at.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import gym
import numpy as np
from gym import spaces

from rl_app.envs.contract.observations import seen_shape
from rl_app.spaces.description import Space, chosen, leaves, limits_of

# An action as far from zero as this has no bound to speak of, and Gym cannot draw between two that are
NO_BOUND = 1e30


class _Read:
    """A space whose observations :class:`rl_app.envs.contract.observations.Reader` has read."""

    def contains(self, _: Any) -> bool:
        return True


class SeenBox(_Read, spaces.Box):  # type: ignore[misc]  # gym has no types
    pass


class SeenDiscrete(_Read, spaces.Discrete):  # type: ignore[misc]
    pass


class SeenMultiDiscrete(_Read, spaces.MultiDiscrete):  # type: ignore[misc]
    pass


class SeenMultiBinary(_Read, spaces.MultiBinary):  # type: ignore[misc]
    pass


class SeenTuple(_Read, spaces.Tuple):  # type: ignore[misc]
    pass


class SeenDict(_Read, spaces.Dict):  # type: ignore[misc]
    pass


def seen_observations(space: Space, top: bool = True) -> gym.Space:
    """Give what RLlib is shown of a space of observations."""
    kind = space["type"]
    if kind == "Dict":
        return SeenDict(OrderedDict([(key, seen_observations(part, False)) for key, part in space["spaces"].items()]))
    if kind == "Tuple":
        return SeenTuple([seen_observations(part, False) for part in space["spaces"]])
    if kind == "Discrete":
        return SeenDiscrete(space["n"])
    if kind == "MultiDiscrete":
        return SeenMultiDiscrete(space["nvec"])
    if kind == "MultiBinary":
        return SeenMultiBinary(space["n"])
    low, high = limits_of(space)
    shape = seen_shape(space, top)
    return SeenBox(low.reshape(shape), high.reshape(shape), dtype=low.dtype.type)


def seen_actions(space: Space) -> gym.Space:
    """Give the space that RLlib chooses actions in: a leaf, or a Tuple of leaves."""
    parts = [_chosen(leaf) for _, leaf in leaves(space)]
    return parts[0] if len(parts) == 1 else spaces.Tuple(parts)


def _chosen(leaf: Space) -> gym.Space:
    space = chosen(leaf)
    if space["type"] == "Discrete":
        return spaces.Discrete(space["n"])
    if space["type"] == "MultiDiscrete":
        return spaces.MultiDiscrete(space["nvec"])
    low, high = limits_of(space)
    low = np.where(low < -NO_BOUND, -np.inf, low).astype(low.dtype)
    high = np.where(high > NO_BOUND, np.inf, high).astype(high.dtype)
    return spaces.Box(low, high, dtype=low.dtype.type)
