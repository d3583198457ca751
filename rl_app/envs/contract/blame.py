"""Words for what goes wrong in an environment: its name, what it did, the file and the line."""

from __future__ import annotations

import inspect
from typing import Any, Mapping

import gym

from rl_app.errors import JobError, UserError, beside, blame, has_own_frames, shown

CHANGING: Mapping[str, type] = {"observation": gym.ObservationWrapper, "reward": gym.RewardWrapper}
"""Gym's wrappers that change a part of what a step gives, in a method of its name."""


def defined(what: Any) -> str:
    """Give `` (file:line)`` of a function or a class; nothing where Python does not know."""
    try:
        return f" ({shown(str(inspect.getsourcefile(what)))}:{inspect.getsourcelines(what)[1]})"
    except (OSError, TypeError):
        return ""


def giver(env: Any, where: str, part: str = "") -> Any:
    """Find the method that gave what an environment's ``where`` gave; None where there is none.

    It is of the outermost wrapper that a person has written, or that changes the ``part`` in question, as Gym's
    ObservationWrapper changes the observation; else of the environment itself.
    """
    while isinstance(env, gym.Wrapper):
        changes = isinstance(env, CHANGING.get(part, ()))
        method = getattr(type(env), part if changes else where, None)
        if changes or str(getattr(method, "__module__", "gym")).split(".")[0] not in ("gym", "rl_app"):
            return method
        env = env.env
    return getattr(getattr(env, "unwrapped", env), where, None)


def gave(name: str, env: Any, where: str, what: str, part: str = "") -> UserError:
    """Make the error that says what the method ``where`` of an environment gave, and where it is defined."""
    return UserError(f"env = {name}: {where} gave {what}{defined(giver(env, where, part))}")


def blamed(error: Exception, name: str, where: str, method: Any = None) -> Exception:
    """Give the error as one that names the environment, the file and the line.

    Args:
        method: what was called, whose line it is where nothing in it has run, as with other parameters than it has.
    """
    if isinstance(error, (JobError, UserError)):
        return error
    said = f"{' '.join(str(error).split())}{beside(error)}"
    place = "" if has_own_frames(error) else defined(inspect.unwrap(method))
    return UserError(f"env = {name}: {where} raised {type(error).__name__}: {said}{place or f' ({blame(error)})'}")
