"""Gym spaces as plain data, for policy.json: a space is named and sized without unpickling anything."""

from __future__ import annotations

import math
from collections import OrderedDict
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


def disordered(space: Any, observation: Any) -> Optional[str]:
    """Why RLlib 0.8.5 would mix up the parts of a Dict observation; None where it does not.

    It goes through the keys of an OrderedDict as they stand and of any other dict as they sort, and takes them for
    those of the space, in the space's order.
    """
    kind = type(space).__name__
    if kind == "Tuple":
        found = (disordered(part, value) for part, value in zip(space.spaces, observation))
    elif kind == "Dict":
        given = list(observation) if isinstance(observation, OrderedDict) else sorted(observation)
        if given != list(space.spaces):
            return f"RLlib reads its keys as {', '.join(given)}, and the space has {', '.join(space.spaces)}"
        found = (disordered(part, observation[key]) for key, part in space.spaces.items())
    else:
        return None
    return next((reason for reason in found if reason), None)
