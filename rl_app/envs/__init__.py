"""Environments of this project by name; any id that gym knows works besides.

A newcomer adds a module with the environment's class and a line to :data:`ENVS`; the contract test is driven by it.
"""

from __future__ import annotations

import importlib
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Callable, Dict, Optional

if TYPE_CHECKING:
    import gym


def _create(module: str, name: str, env_config: Dict[str, Any]) -> gym.Env:
    """Make one; gym and pygame are imported here, not by whoever only wants the names."""
    return getattr(importlib.import_module(f"{__name__}.{module}"), name)(**env_config)


def _cartpole(env_config: Dict[str, Any], num_envs: Optional[int] = None) -> Any:
    """Make Gym's own, or ``num_envs`` of them at once."""
    if num_envs is None:
        return importlib.import_module("gym").make("CartPole-v1", **env_config)
    return importlib.import_module(f"{__name__}.vector_cartpole").VectorCartPole(num_envs, **env_config)


ENVS: Dict[str, Callable[..., gym.Env]] = {
    "CartPole-v1": _cartpole,
    "Catch-v0": partial(_create, "catch", "Catch"),
    "Courier-v0": partial(_create, "courier", "Courier"),
    "StatelessCartPole-v1": partial(_create, "stateless_cartpole", "StatelessCartPole"),
}


def silence_gym() -> None:
    """Drop the notice that this Gym is old, which its import would print before every line of a short command."""
    with suppress(ImportError):
        from gym_notices.notices import notices  # type: ignore[import-untyped]

        notices.clear()
