"""The OpenAPI 3.0 document of the API, made for the policy that is served.

OpenAPI 3.0 has no word for lists whose items differ by position (Tuple, MultiDiscrete), nor for two lists of the same
length (observations and states): there a schema allows more than the server does, and the description says what.
"""

from __future__ import annotations

import math
from typing import Any, Dict, List, Optional, Sequence

import numpy as np

from rl_app.policies import Input, Policy, Space
from rl_app.serving.journal import CONTENT_TYPE
from rl_app.serving.messages import (
    CSV,
    DECODERS,
    DENSITIES,
    JSON,
    JSON_LINES,
    LOOKING_BACK,
    NPY,
    SERVING_DEFAULT,
    SIGNATURE,
)
from rl_app.serving.observations import bounds, named, shape_of

Schema = Dict[str, Any]

# The largest finite float32: what is beyond it is refused
FLOAT32_MAX = 3.4028234663852886e38
# Numbers of an observation up to which the document shows one
LARGEST_EXAMPLE = 256

REFUSALS = {
    "400": "The body is malformed, or is no question to this policy; the sentence names the field",
    "406": "No media type that Accept names can be answered",
    "408": "The request was not whole in time",
    "413": "The body is larger than the limit",
    "415": "The body's media type, charset or coding is not supported",
    "431": "The request's headers are too long",
}


def document(policy: Policy) -> Dict[str, Any]:
    """What may be asked of ``policy``, and what it answers."""
    facts = policy.facts
    return {
        "openapi": "3.0.3",
        "info": {
            "title": f"{facts['algorithm']} on {facts.get('env', 'an environment')}",
            "description": "A trained policy: observations in, actions out.",
            "version": str(facts.get("training", {}).get("training_iteration", 0)),
        },
        "paths": {
            "/invocations": {"post": invocations(policy)},
            "/ping": {"get": got("ping", "Whether the policy answers", "It does", "text/plain", {"type": "string"})},
            "/metrics": {"get": got("metrics", "For Prometheus", "Metrics", CONTENT_TYPE, {"type": "string"})},
            "/openapi.json": {"get": got("openapi", "This document", "It", JSON, {"type": "object"})},
            "/execution-parameters": {
                "get": got("parameters", "What a batch transform asks", "SageMaker's parameters", JSON, PARAMETERS)
            },
            "/": {"get": got("page", "A page for a person", "HTML", "text/html", {"type": "string"})},
        },
        "components": {
            "schemas": {
                "Observation": of_space(policy.observation_space),
                "Outputs": outputs(policy, by_row=False),
                "Row": outputs(policy, by_row=True),
                "Error": closed({"error": {"type": "string", "minLength": 1}}, ["error"]),
            }
        },
    }


def invocations(policy: Policy) -> Dict[str, Any]:
    """The operation that asks the policy."""
    refused = {JSON: {"schema": component("Error")}}
    return {
        "operationId": "invocations",
        "summary": "Ask the policy for actions",
        "description": "The answer is of the request's media type unless Accept asks for another.",
        "requestBody": {"required": True, "content": bodies(policy)},
        "responses": {
            "200": {"description": "The actions, in the order of the observations", "content": answers()},
            **{status: {"description": why, "content": refused} for status, why in REFUSALS.items()},
        },
    }


# ---- requests


def bodies(policy: Policy) -> Dict[str, Any]:
    """What a request may hold, by media type."""
    value = example(policy.observation_space)
    small = columns(policy) <= LARGEST_EXAMPLE
    texts = {CSV: csv(policy), JSON_LINES: json_lines(policy), NPY: npy(policy)}
    examples = {JSON: {"observations": [value]}, CSV: ",".join(["0"] * columns(policy)) + "\n"}
    return {
        kind: {
            "schema": json_body(policy) if kind == JSON else texts.get(kind, texts[JSON_LINES]),
            **({"example": examples[kind]} if small and kind in examples else {}),
        }
        for kind in DECODERS
    }


def json_body(policy: Policy) -> Schema:
    """Observations with what goes with them, TensorFlow Serving's two forms, or just the observations."""
    common: Dict[str, Schema] = {"signature_name": {"type": "string", "enum": [SERVING_DEFAULT]}}
    if policy.unsampled is None:
        common["deterministic"] = {"type": "boolean", "default": True, "description": "false: actions are sampled"}
    else:
        common["deterministic"] = {"type": "boolean", "enum": [True], "description": policy.unsampled}
    by_column, one = inputs(policy, by_row=False), inputs(policy, by_row=True)
    several = {"type": "array", "minItems": 1, "items": component("Observation")}
    instances = {
        "anyOf": [several, {"type": "array", "minItems": 1, "items": closed(one, ["observations"])}],
        "description": "an observation each, or an object of inputs each, all with the same fields",
    }
    is_list = of_space(policy.observation_space)["type"] == "array"
    return {
        "anyOf": [
            closed({**by_column, **common}, ["observations"]),
            closed(
                {"inputs": {"anyOf": [closed(by_column, ["observations"]), one_or_many(policy)]}, **common}, ["inputs"]
            ),
            closed({"instances": instances, **common}, ["instances"]),
            one_or_many(policy) if is_list else several,
        ]
    }


def inputs(policy: Policy, by_row: bool) -> Dict[str, Schema]:
    """Each field beside its observations, of one row or with the batch first; what is not read may be anything."""
    state = "the recurrent state, as the last answer's state_out_{} gave it; zeros, the start of an episode, if missing"
    known = {"observations": component("Observation") if by_row else one_or_many(policy)}
    for i, size in enumerate(policy.state_sizes):
        known[f"state_in_{i}"] = column(Input(np.float32, (size,)), by_row, state.format(i))
    for name in LOOKING_BACK:
        if name in policy.inputs:
            known[name] = column(policy.inputs[name], by_row, "of the step before; zeros if it is missing")
    for name in (*LOOKING_BACK, *SIGNATURE):
        known.setdefault(name, {"description": "taken in any shape, and not read"})
    return known


def column(given: Input, by_row: bool, description: str) -> Schema:
    """An input for each observation."""
    dtype = np.dtype(given.dtype)
    whole = np.iinfo(dtype) if dtype.kind == "i" else None
    item = {"type": "integer", "minimum": whole.min, "maximum": whole.max} if whole else FLOAT
    one = nested(given.shape or (), item)
    return {**(one if by_row else either(one)), "description": description}


def one_or_many(policy: Policy) -> Schema:
    """An observation or a list of them; of a Dict space also the columns."""
    return {**either(component("Observation")), "description": of_many(policy.observation_space)}


def of_many(space: Space) -> str:
    """What a batch may be beside a list of observations."""
    if space["type"] == "Dict":
        return "an observation, a list of them, or an object that has a list for each key, all of the same length"
    return "an observation or a list of them"


def csv(policy: Policy) -> Schema:
    """A request in CSV."""
    parts = [f"{named('observation', leaf.path)} ({math.prod(shape_of(leaf.space))})" for leaf in policy.leaves]
    order = f"{columns(policy)} numbers, in this order: {', '.join(parts)}"
    return {"type": "string", "description": f"an observation a line, without a head: {order}"}


def json_lines(_: Policy) -> Schema:
    """A request in JSON Lines."""
    return {"type": "string", "description": "an instance a line, as those of `instances` in JSON"}


def npy(policy: Policy) -> Schema:
    """A request as a NumPy array."""
    own = shape_of(policy.leaves[0].space)
    also = f", or [batch, {', '.join(map(str, own))}]" if not policy.leaves[0].path and len(own) > 1 else ""
    shape = f"[batch, {columns(policy)}]{also}"
    return {"type": "string", "format": "binary", "description": f"a .npy file of numbers of the shape {shape}"}


def columns(policy: Policy) -> int:
    """How many numbers an observation has where it is written as one row."""
    return sum(math.prod(shape_of(leaf.space)) for leaf in policy.leaves)


# ---- answers


def answers() -> Dict[str, Any]:
    """What an answer holds, by media type."""
    by_column = closed({"outputs": component("Outputs")}, ["outputs"])
    by_row = closed({"predictions": {"type": "array", "items": component("Row")}}, ["predictions"])
    described = {
        CSV: {"type": "string", "description": "an action a line, the numbers of its parts in their order"},
        JSON_LINES: {"type": "string", "description": "an object of outputs a line, as those of `predictions` in JSON"},
        NPY: {"type": "string", "format": "binary", "description": "a .npy file of the actions, [batch, ...]"},
    }
    return {
        JSON: {"schema": {"oneOf": [by_column, by_row]}},
        **{kind: {"schema": schema} for kind, schema in described.items()},
    }


def outputs(policy: Policy, by_row: bool) -> Schema:
    """The outputs by name, of one observation or with the batch first."""
    names: List[str] = policy.facts["outputs"]
    found = {name: output(policy, name) for name in names}
    if not by_row:
        found = {name: {"type": "array", "items": schema} for name, schema in found.items()}
    return closed(found, [name for name in names if name.startswith("actions_")])


def output(policy: Policy, name: str) -> Schema:
    """One output of one observation. A density may be infinite, and is null then; all else is a number."""
    kind, _, index = name.rpartition("_")
    if kind == "actions":
        return action(parts(policy.action_space)[int(index)], policy.facts["clip_actions"])
    if kind == "state_out":
        return nested([policy.state_sizes[int(index)]], {"type": "number"})
    if name in DENSITIES:
        return {"type": "number", "nullable": True}
    known: Dict[str, Schema] = {
        "vf_preds": {"type": "number"},
        "action_dist_inputs": {"type": "array", "items": {"type": "number"}},
    }
    return known.get(name, {})


def action(space: Space, clipped: bool) -> Schema:
    """An action of a space that is no Tuple."""
    if space["type"] != "Box":
        return of_space(space)
    item: Schema = {"type": "number"}
    low, high = limit(min, space["low"], space["dtype"]), limit(max, space["high"], space["dtype"])
    if clipped and low is not None:
        item["minimum"] = low
    if clipped and high is not None:
        item["maximum"] = high
    return nested(space["shape"], item)


def limit(least_or_most: Any, values: Sequence[Optional[float]], dtype: str) -> Optional[float]:
    """The bound of all numbers of a Box, written as short as its answers are; None where one has none."""
    known = [value for value in values if value is not None]
    if len(known) < len(values) or not known:
        return None
    return float(str(np.dtype(dtype).type(least_or_most(known))))


def parts(space: Space) -> List[Space]:
    """The parts of an action: of a Tuple space all the way down, of any other itself."""
    if space["type"] == "Tuple":
        return [part for each in space["spaces"] for part in parts(each)]
    return [space]


# ---- spaces

FLOAT: Schema = {"type": "number", "minimum": -FLOAT32_MAX, "maximum": FLOAT32_MAX}


def of_space(space: Space) -> Schema:
    """One value of a space, as JSON."""
    kind = space["type"]
    if kind == "Dict":
        return closed({key: of_space(part) for key, part in space["spaces"].items()}, list(space["spaces"]))
    if kind == "Tuple":
        return in_order([of_space(part) for part in space["spaces"]])
    if kind == "Box" and space["dtype"].startswith("float"):
        return nested(space["shape"], FLOAT)
    low, high = bounds(space)
    schema = nested(shape_of(space), {"type": "integer", "minimum": int(low), "maximum": int(np.max(high))})
    if kind == "MultiDiscrete" and len(set(space["nvec"])) > 1:
        schema["description"] = f"from 0, each below its own of {space['nvec']}"
    return schema


def in_order(schemas: List[Schema]) -> Schema:
    """A list with a schema for each place, as near as OpenAPI 3.0 comes to it."""
    different = [schema for i, schema in enumerate(schemas) if schema not in schemas[:i]]
    return {
        "type": "array",
        "minItems": len(schemas),
        "maxItems": len(schemas),
        "items": different[0] if len(different) == 1 else {"anyOf": different},
        **({"description": "the parts in their order, which is that of `anyOf`"} if len(different) > 1 else {}),
    }


def either(one: Schema) -> Schema:
    """One or a list of them."""
    return {"anyOf": [one, {"type": "array", "minItems": 1, "items": one}]}


def nested(shape: Sequence[int], item: Schema) -> Schema:
    """Lists of a shape."""
    for size in reversed(shape):
        item = {"type": "array", "minItems": size, "maxItems": size, "items": item}
    return dict(item)


def example(space: Space) -> Any:
    """A value of the space: zeros."""
    kind = space["type"]
    if kind == "Dict":
        return {key: example(part) for key, part in space["spaces"].items()}
    if kind == "Tuple":
        return [example(part) for part in space["spaces"]]
    floats = kind == "Box" and space["dtype"].startswith("float")
    return np.zeros(shape_of(space), float if floats else int).tolist()


# ---- words of OpenAPI


def component(name: str) -> Schema:
    """A schema that stands in ``components``."""
    return {"$ref": f"#/components/schemas/{name}"}


def closed(properties: Dict[str, Schema], required: Sequence[str]) -> Schema:
    """An object with these properties and no others."""
    return {
        "type": "object",
        "properties": properties,
        **({"required": list(required)} if required else {}),
        "additionalProperties": False,
    }


def got(name: str, summary: str, description: str, media: str, schema: Schema) -> Dict[str, Any]:
    """A GET that always succeeds."""
    answer = {"description": description, "content": {media: {"schema": schema}}}
    return {"operationId": name, "summary": summary, "responses": {"200": answer}}


PARAMETERS = closed(
    {
        "MaxConcurrentTransforms": {"type": "integer", "minimum": 1},
        "BatchStrategy": {"type": "string", "enum": ["MULTI_RECORD", "SINGLE_RECORD"]},
        "MaxPayloadInMB": {"type": "integer", "minimum": 0},
    },
    ["MaxConcurrentTransforms", "BatchStrategy", "MaxPayloadInMB"],
)
