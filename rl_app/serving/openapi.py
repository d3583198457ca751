"""The OpenAPI document of a policy's endpoint, made of the types that requests are read by."""

from __future__ import annotations

from typing import Any, Dict

import msgspec

from rl_app.policies import Policy
from rl_app.serving.codecs import CODECS, OPTIONS, SIGNATURE, Reader
from rl_app.serving.schema import batch_type, value_type, words

Json = Dict[str, Any]

REFUSALS = {
    "400": "the request is not what the policy takes",
    "406": "no content type that `Accept` names is there",
    "408": "the request did not arrive in time",
    "413": "the body is over the limit",
    "415": "the content type is not there",
    "431": "the headers are over the limit",
    "500": "the server failed",
}


def document(policy: Policy) -> Json:
    """OpenAPI 3.1, as JSON data."""
    facts = policy.facts
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"{facts['algorithm']} on {facts.get('env')}",
            "description": f"One observation is {words(policy.observation_space)}.",
            "version": "1",
        },
        "paths": {
            "/": {"get": _get("a page about the policy", "text/html")},
            "/invocations": {"post": _invocations()},
            "/metrics": {"get": _get("Prometheus' metrics", "text/plain")},
            "/openapi.json": {"get": _get("this document", "application/json")},
            "/ping": {"get": {**_get("whether the policy answers"), "operationId": "ping"}},
        },
        "components": {"schemas": _schemas(policy)},
    }


def _get(summary: str, media_type: str = "") -> Json:
    good: Json = {"description": summary}
    if media_type:
        good["content"] = {media_type: {}}
    return {"summary": summary, "responses": {"200": good, "500": _refusal(REFUSALS["500"])}}


def _invocations() -> Json:
    answer: Json = {name: {} for name in CODECS}
    answer["application/json"] = {"schema": _ref("Answer")}
    question: Json = {name: {"schema": {"type": "string"}} for name in CODECS}
    question["application/json"] = {"schema": _ref("Request")}
    return {
        "summary": "asks the policy for an action of each observation",
        "requestBody": {"required": True, "content": question},
        "responses": {
            "200": {"description": "the actions, and what else the policy gives", "content": answer},
            **{status: _refusal(text) for status, text in REFUSALS.items()},
        },
    }


def _refusal(text: str) -> Json:
    return {"description": text, "content": {"application/json": {"schema": _ref("Error")}}}


def _schemas(policy: Policy) -> Dict[str, Json]:
    columns = {name: value_type(column.space) for name, column in Reader(policy).columns.items()}
    kinds = [kind for one in columns.values() for kind in (one, batch_type(one))]
    made, components = msgspec.json.schema_components(
        [*OPTIONS.values(), *kinds], ref_template="#/components/schemas/{name}"
    )
    options: Json = dict(zip(OPTIONS, made))
    one: Json = dict(zip(columns, made[len(OPTIONS) :: 2]))
    batch: Json = dict(zip(columns, made[len(OPTIONS) + 1 :: 2]))
    values: Json = {name: {"anyOf": [one[name], batch[name]]} for name in columns}
    ignored: Json = {name: {} for name in SIGNATURE if name not in columns}
    return {
        **components,
        "Observations": values["observations"],
        "Columns": _object({**values, **ignored}, required="observations"),
        "Row": _object({**one, **ignored}, required="observations"),
        "Request": {
            "anyOf": [
                _ref("Observations"),
                _object({**values, **ignored, **options}, required="observations"),
                _object({"inputs": {"anyOf": [_ref("Columns"), _ref("Observations")]}, **options}, required="inputs"),
                _object(
                    {
                        "instances": {
                            "anyOf": [batch["observations"], {"type": "array", "items": _ref("Row"), "minItems": 1}],
                        },
                        **options,
                    },
                    required="instances",
                ),
            ]
        },
        "Outputs": {"type": "object", "required": list(policy.facts["outputs"])},
        "Answer": {
            "anyOf": [
                _object({"outputs": _ref("Outputs")}, required="outputs"),
                _object({"predictions": {"type": "array", "items": _ref("Outputs")}}, required="predictions"),
            ]
        },
        "Error": _object({"error": {"type": "string"}}, required="error"),
    }


def _object(properties: Json, required: str) -> Json:
    return {"type": "object", "properties": properties, "required": [required], "additionalProperties": False}


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}
