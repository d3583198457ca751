"""Environments of this project by name; any id that gym knows works besides.

A newcomer adds a module with a creator, which imports what it needs inside, and a line to :data:`ENVS`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Dict

if TYPE_CHECKING:
    import gym

ENVS: Dict[str, Callable[[Dict[str, Any]], gym.Env]] = {}
