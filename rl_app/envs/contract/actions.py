"""Actions as RLlib chooses them, made those of the space that the environment declared; each a copy of its own."""

from __future__ import annotations

import copy
import math
from typing import Any, Callable

import numpy as np

from rl_app.errors import JobError
from rl_app.spaces.description import Actor, Space, action_of, actors

NOT_FINITE = (
    "the policy chose the action {}: its weights are no longer finite numbers, so its training diverged; "
    "a smaller learning rate, or smaller rewards and observations, may keep it finite"
)


def copied(action: Any) -> Any:
    """Copy what an environment could change."""
    return action if isinstance(action, (int, float, np.generic)) else copy.deepcopy(action)


def acts(space: Space) -> Callable[[Any], Any]:
    """Give the function that makes RLlib's actions those of the space; :func:`.spaces.description.chosen` says how."""
    parts = actors(space)
    if space["type"] not in ("Tuple", "Dict"):
        return _discrete(int(space.get("start", 0))) if space["type"] == "Discrete" else _one(parts[0])
    single = len(parts) == 1

    def act(action: Any) -> Any:
        return action_of(space, [part(_finite(value)) for part, value in zip(parts, [action] if single else action)])

    return act


def _discrete(start: int) -> Callable[[Any], Any]:
    return (lambda action: action + start) if start else as_it_is


def as_it_is(action: Any) -> Any:
    """Return the action."""
    return action


def _one(actor: Actor) -> Callable[[Any], Any]:
    return lambda action: actor(_finite(action))


def _finite(action: Any) -> Any:
    """Return the action; raises JobError where a number in it is not finite."""
    if isinstance(action, (np.ndarray, np.floating)) and action.dtype.kind == "f" and not _is_finite(action):
        raise JobError(NOT_FINITE.format(action.tolist()))
    return action


def _is_finite(array: Any) -> bool:
    # A sum of squares is finite only if all of them are, and takes a quarter of the time
    return math.isfinite(np.vdot(array, array)) or bool(np.isfinite(array).all())
