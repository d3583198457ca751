"""The OpenAPI 3.0 document of the API, made for the policy that is served."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence

import numpy as np

from rl_app.policy.policy import Policy
from rl_app.serving.media_types import MEDIA_TYPES
from rl_app.serving.media_types.json import JSON
from rl_app.serving.metrics import CONTENT_TYPE
from rl_app.serving.outputs import DENSITIES
from rl_app.serving.schemas import Schema, closed, columns, component, nested, of_space
from rl_app.spaces.description import Space, is_float, leaves

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
    """Describe what may be asked of ``policy``, and what it answers."""
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
            "/openapi.json": {"get": got("openapi", "This document", "It", JSON.name, {"type": "object"})},
            "/execution-parameters": {
                "get": got("parameters", "What a batch transform asks", "SageMaker's parameters", JSON.name, PARAMETERS)
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
    """Describe the operation that asks the policy."""
    refused = {JSON.name: {"schema": component("Error")}}
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


def bodies(policy: Policy) -> Dict[str, Any]:
    """Describe what a request may hold, by media type."""
    small = columns(policy) <= LARGEST_EXAMPLE
    return {
        name: {
            "schema": each.request(policy),
            **({"example": each.example(policy)} if small and each.example and name == each.name else {}),
        }
        for each in MEDIA_TYPES
        for name in each.names
    }


def answers() -> Dict[str, Any]:
    """Describe what an answer holds, by media type."""
    return {each.name: {"schema": each.answer} for each in MEDIA_TYPES}


def outputs(policy: Policy, by_row: bool) -> Schema:
    """Describe the outputs by name, of one observation or with the batch first."""
    names: List[str] = policy.facts["outputs"]
    found = {name: output(policy, name) for name in names}
    if not by_row:
        found = {name: {"type": "array", "items": schema} for name, schema in found.items()}
    return closed(found, [name for name in names if name.startswith("actions_")])


def output(policy: Policy, name: str) -> Schema:
    """Describe one output of one observation. A density may be infinite, and is null then; all else is a number."""
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
    """Describe an action of a leaf."""
    if space["type"] != "Box" or not is_float(space):
        return of_space(space)
    item: Schema = {"type": "number"}
    low, high = limit(min, space["low"], space["dtype"]), limit(max, space["high"], space["dtype"])
    if clipped and low is not None:
        item["minimum"] = low
    if clipped and high is not None:
        item["maximum"] = high
    return nested(space["shape"], item)


def limit(least_or_most: Any, values: Sequence[Optional[float]], dtype: str) -> Optional[float]:
    """Find the bound of all numbers of a Box, written as short as its answers are; None where one has none."""
    known = [value for value in values if value is not None]
    if len(known) < len(values) or not known:
        return None
    return float(str(np.dtype(dtype).type(least_or_most(known))))


def parts(space: Space) -> List[Space]:
    """List the leaves of an action's space, in the order of its outputs."""
    return [leaf for _, leaf in leaves(space)]


def got(name: str, summary: str, description: str, media: str, schema: Schema) -> Dict[str, Any]:
    """Describe a GET that always succeeds."""
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
