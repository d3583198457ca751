"""Gym spaces as plain data, for policy.json: a space is named and sized without unpickling anything."""

from __future__ import annotations

import math
from typing import Any, Dict, List, Optional


def describe(space: Any) -> Dict[str, Any]:
    """The space as JSON data: its ``type`` and what that type is made of; an infinite bound is None.

    Raises:
        ValueError: a type of space that Gym 0.22 does not have.
    """
    kind = type(space).__name__
    if kind == "Box":
        return {
            "type": kind,
            "shape": list(space.shape),
            "dtype": space.dtype.name,
            "low": _bounds(space.low),
            "high": _bounds(space.high),
        }
    if kind == "Discrete":
        return {"type": kind, "n": int(space.n), "start": int(getattr(space, "start", 0))}
    if kind == "MultiDiscrete":
        return {"type": kind, "nvec": space.nvec.tolist()}
    if kind == "MultiBinary":
        return {"type": kind, "n": int(space.n)}
    if kind == "Tuple":
        return {"type": kind, "spaces": [describe(part) for part in space.spaces]}
    if kind == "Dict":
        return {"type": kind, "spaces": {key: describe(part) for key, part in space.spaces.items()}}
    raise ValueError(f"{kind} is no space of Gym")


def outline(described: Any) -> Any:
    """A description without bounds and types of numbers: what a network's inputs and outputs depend on."""
    if isinstance(described, dict):
        return {key: outline(part) for key, part in described.items() if key not in ("low", "high", "dtype")}
    return [outline(part) for part in described] if isinstance(described, list) else described


def _bounds(array: Any) -> List[Optional[float]]:
    return [value if math.isfinite(value) else None for value in array.ravel().tolist()]
