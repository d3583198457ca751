"""The OpenAPI 3.0 document of the API, made for the policy that is served."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence

from rl_app.policies import Policy, Space
from rl_app.serving.messages import CSV, DECODERS, JSON, JSON_LINES, NPY

Schema = Dict[str, Any]

# The largest finite float32: what is beyond it is refused
FLOAT32_MAX = 3.4028234663852886e38


def document(policy: Policy, fields: Sequence[str]) -> Dict[str, Any]:
    """What may be asked of ``policy``, whose JSON has ``fields``, and what it answers."""
    facts = policy.facts
    return {
        "openapi": "3.0.3",
        "info": {
            "title": f"{facts['algorithm']} on {facts.get('env', 'an environment')}",
            "description": "A trained policy: observations in, actions out.",
            "version": str(facts.get("training", {}).get("training_iteration", 0)),
        },
        "paths": {
            "/invocations": {"post": invocations(policy, fields)},
            "/ping": {"get": got("Whether the policy answers", "200 where it does", None)},
            "/metrics": {"get": got("Metrics for Prometheus", "Prometheus's text", text("text/plain"))},
            "/openapi.json": {"get": got("This document", "It", json({"type": "object"}))},
            "/execution-parameters": {
                "get": got("What a batch transform asks", "SageMaker's parameters", json({"type": "object"}))
            },
            "/": {"get": got("A page for a person", "HTML", text("text/html"))},
        },
        "components": {"schemas": {"Error": error(), "Outputs": outputs(policy, False), "Row": outputs(policy, True)}},
    }


def invocations(policy: Policy, fields: Sequence[str]) -> Dict[str, Any]:
    """The operation that asks the policy."""
    return {
        "operationId": "invocations",
        "summary": "Ask the policy for actions",
        "requestBody": {"required": True, "content": bodies(policy, fields)},
        "responses": {
            "200": {"description": "The actions, in the order of the observations", "content": answers()},
            **{
                status: {"description": why, "content": json({"$ref": "#/components/schemas/Error"})}
                for status, why in REFUSALS.items()
            },
        },
    }


REFUSALS = {
    "400": "The body is malformed, or is no question to this policy; the sentence names the field",
    "406": "No media type that Accept names can be answered",
    "408": "The request was not whole in time",
    "413": "The body is larger than the limit",
    "415": "The body's media type, charset or coding is not supported",
}


def bodies(policy: Policy, fields: Sequence[str]) -> Dict[str, Any]:
    """What a request may hold, by media type."""
    named = inputs(policy, fields)
    deterministic = {"type": "boolean", "default": True, "description": "false: actions are sampled"}
    common = {"deterministic": deterministic} if policy.unsampled is None else {}
    several = one_or_many(policy.observation_space)
    row = {"type": "array", "minItems": 1, "items": of_space(policy.observation_space)}
    schema = {
        "anyOf": [
            closed({**named, **common}, ["observations"]),
            closed({"inputs": closed(named, ["observations"]), **common}, ["inputs"]),
            closed({"instances": row, **common}, ["instances"]),
            several if several.get("type") == "array" else row,
        ]
    }
    return {
        JSON: {"schema": schema, "example": {"observations": [example(policy.observation_space)]}},
        **{kind: {"schema": {"type": "string", "format": "binary"}} for kind in DECODERS if kind != JSON},
    }


def inputs(policy: Policy, fields: Sequence[str]) -> Dict[str, Schema]:
    """Each field of a request in columns. What a policy does not read may be anything."""
    known: Dict[str, Schema] = {"observations": one_or_many(policy.observation_space)}
    for i, size in enumerate(policy.state_sizes):
        known[f"state_in_{i}"] = {
            "type": "array",
            "description": f"the recurrent state, {size} numbers for each observation; as state_out_{i} gave it",
            "items": {},
        }
    for name in fields:
        if name not in known:
            read = name in policy.inputs
            known[name] = {"description": "of the step before, for each observation" if read else "not read"}
    return known


def outputs(policy: Policy, row: bool) -> Schema:
    """The outputs by name, of one observation or with the batch first."""
    names: List[str] = policy.facts["outputs"]
    any_value: Schema = {} if row else {"type": "array", "items": {}}
    return {"type": "object", "properties": dict.fromkeys(names, any_value), "required": ["actions_0"]}


def answers() -> Dict[str, Any]:
    """What an answer holds, by media type."""
    by_column = closed({"outputs": {"$ref": "#/components/schemas/Outputs"}}, ["outputs"])
    rows = {"type": "array", "items": {"$ref": "#/components/schemas/Row"}}
    by_row = closed({"predictions": rows}, ["predictions"])
    plain = {"schema": {"type": "string"}}
    return {**json({"oneOf": [by_column, by_row]}), CSV: plain, JSON_LINES: plain, NPY: plain}


def error() -> Schema:
    """A refusal."""
    return closed({"error": {"type": "string", "minLength": 1}}, ["error"])


# ---- spaces


def of_space(space: Space) -> Schema:
    """One value of a space, as JSON."""
    kind = space["type"]
    if kind == "Dict":
        named = {key: of_space(part) for key, part in space["spaces"].items()}
        return closed(named, list(named))
    if kind == "Tuple":
        parts = [of_space(part) for part in space["spaces"]]
        return {"type": "array", "items": {"anyOf": parts}, "minItems": len(parts), "maxItems": len(parts)}
    if kind == "Discrete":
        return {"type": "integer", "minimum": 0, "maximum": space["n"] - 1}
    if kind == "MultiBinary":
        return nested([space["n"]], {"type": "integer", "minimum": 0, "maximum": 1})
    if kind == "MultiDiscrete":
        return nested([len(space["nvec"])], {"type": "integer", "minimum": 0, "maximum": min(space["nvec"]) - 1})
    if space["dtype"].startswith("float"):
        return nested(space["shape"], {"type": "number", "minimum": -FLOAT32_MAX, "maximum": FLOAT32_MAX})
    return nested(space["shape"], {"type": "integer", "minimum": 0, "maximum": 255})


def one_or_many(space: Space) -> Schema:
    """An observation or a list of them."""
    one = of_space(space)
    return {"anyOf": [one, {"type": "array", "minItems": 1, "items": one}]}


def nested(shape: Sequence[int], item: Schema) -> Schema:
    """Lists of a shape."""
    for size in reversed(shape):
        item = {"type": "array", "minItems": size, "maxItems": size, "items": item}
    return item


def example(space: Space) -> Any:
    """A value of the space: zeros."""
    kind = space["type"]
    if kind == "Dict":
        return {key: example(part) for key, part in space["spaces"].items()}
    if kind == "Tuple":
        return [example(part) for part in space["spaces"]]
    shape = {"Box": space.get("shape", []), "MultiDiscrete": [len(space.get("nvec", []))]}.get(kind, [])
    value: Any = 0.0 if kind == "Box" and space["dtype"].startswith("float") else 0
    for size in reversed([space["n"]] if kind == "MultiBinary" else shape):
        value = [value] * size
    return value


# ---- words of OpenAPI


def closed(properties: Dict[str, Schema], required: Optional[List[str]] = None) -> Schema:
    """An object with these properties and no others."""
    return {
        "type": "object",
        "properties": properties,
        "required": required or [],
        "additionalProperties": False,
    }


def json(schema: Schema) -> Dict[str, Any]:
    """A body of JSON."""
    return {JSON: {"schema": schema}}


def text(media: str) -> Dict[str, Any]:
    """A body of text."""
    return {media: {"schema": {"type": "string"}}}


def got(summary: str, description: str, content: Optional[Dict[str, Any]]) -> Dict[str, Any]:
    """A GET that always succeeds."""
    answer: Dict[str, Any] = {"description": description}
    if content:
        answer["content"] = content
    return {"summary": summary, "responses": {"200": answer}}
