"""OpenAPI's schemas of spaces.

OpenAPI 3.0 has no word for lists whose items differ by position (Tuple, MultiDiscrete), nor for two lists of the same
length (observations and states): there a schema allows more than the server does, and the description says what.
"""

from __future__ import annotations

import math
from typing import Any, Dict, List, Sequence

import numpy as np

from rl_app.policy.policy import Policy
from rl_app.serving.arrays import bounds
from rl_app.spaces.description import Space, is_float, shape_of, start_of

Schema = Dict[str, Any]

# The largest finite float32: what is beyond it is refused
FLOAT32_MAX = 3.4028234663852886e38
FLOAT: Schema = {"type": "number", "minimum": -FLOAT32_MAX, "maximum": FLOAT32_MAX}


def columns(policy: Policy) -> int:
    """Count the numbers of an observation that is written as one row."""
    return sum(math.prod(shape_of(leaf.space)) for leaf in policy.leaves)


def of_space(space: Space) -> Schema:
    """Describe one value of a space, as JSON."""
    kind = space["type"]
    if kind == "Dict":
        return closed({key: of_space(part) for key, part in space["spaces"].items()}, list(space["spaces"]))
    if kind == "Tuple":
        return in_order([of_space(part) for part in space["spaces"]])
    if is_float(space):
        return nested(space["shape"], FLOAT)
    low, high = bounds(space)
    schema = nested(shape_of(space), {"type": "integer", "minimum": int(np.min(low)), "maximum": int(np.max(high))})
    if kind == "MultiDiscrete" and len(set(space["nvec"])) > 1:
        schema["description"] = f"from 0, each below its own of {space['nvec']}"
    return schema


def in_order(schemas: List[Schema]) -> Schema:
    """Describe a list with a schema for each place, as near as OpenAPI 3.0 comes to it."""
    different = [schema for i, schema in enumerate(schemas) if schema not in schemas[:i]]
    return {
        "type": "array",
        "minItems": len(schemas),
        "maxItems": len(schemas),
        "items": different[0] if len(different) == 1 else {"anyOf": different},
        **({"description": "the parts in their order, which is that of `anyOf`"} if len(different) > 1 else {}),
    }


def either(one: Schema) -> Schema:
    """Describe one or a list of them."""
    return {"anyOf": [one, {"type": "array", "minItems": 1, "items": one}]}


def nested(shape: Sequence[int], item: Schema) -> Schema:
    """Describe lists of a shape."""
    for size in reversed(shape):
        item = {"type": "array", "minItems": size, "maxItems": size, "items": item}
    return dict(item)


def example(space: Space) -> Any:
    """Make a value of the space: zeros."""
    kind = space["type"]
    if kind == "Dict":
        return {key: example(part) for key, part in space["spaces"].items()}
    if kind == "Tuple":
        return [example(part) for part in space["spaces"]]
    if kind == "Discrete":
        return start_of(space)
    return np.zeros(shape_of(space), float if is_float(space) else int).tolist()


def component(name: str) -> Schema:
    """Name a schema that stands in ``components``."""
    return {"$ref": f"#/components/schemas/{name}"}


def closed(properties: Dict[str, Schema], required: Sequence[str]) -> Schema:
    """Describe an object with these properties and no others."""
    return {
        "type": "object",
        "properties": properties,
        **({"required": list(required)} if required else {}),
        "additionalProperties": False,
    }
