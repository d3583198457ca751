"""Environments of several agents, told from others without Ray."""

from __future__ import annotations

from typing import Any

SPACES = ("observation_space", "action_space")
"""What an environment declares, of one agent or of each."""


def has_agents(env: Any) -> bool:
    """Say whether an environment is RLlib's, of several agents, which its author has imported Ray for."""
    return any(
        kind.__module__.startswith("ray.rllib") and kind.__name__ == "MultiAgentEnv" for kind in type(env).__mro__
    )
