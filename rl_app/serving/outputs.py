"""What the policy answers, by rows and by the parts of an action."""

from __future__ import annotations

from typing import Any, Dict, List

import numpy as np

from rl_app.policy.loading import Outputs
from rl_app.spaces.description import Array

DENSITIES = ("action_logp", "action_prob")
"""Outputs that are infinite where a distribution is narrow, and the action is none the worse for it."""


def rows_of(outputs: Outputs) -> List[Dict[str, Any]]:
    """Give the outputs of each row."""
    names = list(outputs)
    return [dict(zip(names, values)) for values in zip(*outputs.values())]


def actions_of(outputs: Outputs) -> List[Array]:
    """Give ``actions_0``, ``actions_1``, …"""
    found: List[Array] = []
    while f"actions_{len(found)}" in outputs:
        found.append(outputs[f"actions_{len(found)}"])
    return found


def are_finite(outputs: Outputs) -> bool:
    """Tell whether all outputs but densities are numbers."""
    return all(np.isfinite(values).all() for name, values in outputs.items() if name not in DENSITIES)
