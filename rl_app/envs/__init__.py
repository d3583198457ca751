"""Environments of this project by name; any id that gym knows works besides.

A newcomer adds a module with the environment's class and a line to :data:`ENVS`; the contract test is driven by it.
"""

from __future__ import annotations

import importlib
from functools import partial
from typing import TYPE_CHECKING, Any, Callable, Dict

if TYPE_CHECKING:
    import gym


def _create(module: str, name: str, env_config: Dict[str, Any]) -> gym.Env:
    """Makes one; gym and pygame are imported here, not by whoever only wants the names."""
    return getattr(importlib.import_module(f"{__name__}.{module}"), name)(**env_config)


ENVS: Dict[str, Callable[[Dict[str, Any]], gym.Env]] = {
    "Catch-v0": partial(_create, "catch", "Catch"),
    "Courier-v0": partial(_create, "courier", "Courier"),
    "StatelessCartPole-v1": partial(_create, "stateless_cartpole", "StatelessCartPole"),
}
