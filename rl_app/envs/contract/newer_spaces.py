"""Spaces of Gymnasium, made those of the Gym that is installed; Gymnasium itself is imported nowhere."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import gym
from gym import spaces

from rl_app.spaces.description import kind_of

PACKAGE = "gymnasium"


def from_gymnasium(value: Any) -> bool:
    """Tell whether a value is of a class of Gymnasium's, or of one that inherits from it."""
    return any(kind.__module__.split(".")[0] == PACKAGE for kind in type(value).__mro__)


def converted(space: Any) -> Any:
    """Give a space of Gymnasium's as Gym's; one that Gym does not have, and all that is no such space, as it is."""
    if isinstance(space, gym.Space) or not from_gymnasium(space):
        return space
    kind = kind_of(space)
    if kind == "Box":
        return spaces.Box(space.low, space.high, dtype=space.dtype.type)
    if kind == "Discrete":
        return spaces.Discrete(int(space.n), start=int(space.start))
    if kind == "MultiDiscrete" and not getattr(space, "start", space.nvec * 0).any():
        return spaces.MultiDiscrete(space.nvec)
    if kind == "MultiBinary":
        return spaces.MultiBinary(space.n)
    parts = _parts(kind, space)
    return space if parts is None else parts


def _parts(kind: Any, space: Any) -> Any:
    """Give a Tuple or Dict of which every part could be converted; None for all else."""
    if kind not in ("Tuple", "Dict"):
        return None
    inner = space.spaces if kind == "Dict" else dict(enumerate(space.spaces))
    parts = OrderedDict((key, converted(part)) for key, part in inner.items())
    if not all(isinstance(part, gym.Space) for part in parts.values()):
        return None
    return spaces.Dict(parts) if kind == "Dict" else spaces.Tuple(list(parts.values()))
