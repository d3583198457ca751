"""Gym's spaces of their descriptions."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from rl_app.spaces.description import Space, limits_of, shape_of


def gym_space(space: Space) -> Any:
    """Make the space that :func:`rl_app.spaces.description.describe` describes so."""
    import numpy as np
    from gym import spaces

    kind = space["type"]
    if kind == "Dict":
        return spaces.Dict(OrderedDict([(key, gym_space(part)) for key, part in space["spaces"].items()]))
    if kind == "Tuple":
        return spaces.Tuple([gym_space(part) for part in space["spaces"]])
    if kind == "Discrete":
        return spaces.Discrete(space["n"], start=space.get("start", 0))
    if kind == "MultiDiscrete":
        return spaces.MultiDiscrete(np.array(space["nvec"]).reshape(shape_of(space)))
    if kind == "MultiBinary":
        return spaces.MultiBinary(space["shape"] if "shape" in space else space["n"])
    low, high = limits_of(space)
    return spaces.Box(low, high, dtype=low.dtype.type)
