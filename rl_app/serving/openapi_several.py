"""The OpenAPI document of a model with several policies, made of those of its policies."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping

from rl_app.job.agents import policy_of
from rl_app.policy.policies import Policies
from rl_app.serving import openapi
from rl_app.serving.media_types.json import JSON
from rl_app.serving.schemas import Schema, closed, component, example

HEADER = "X-Amzn-SageMaker-Custom-Attributes"
"""What SageMaker hands on to a model as its client sent it."""
SHARED = ("Error",)


def document(policies: Policies) -> Dict[str, Any]:
    """Describe what may be asked of each policy, and of the agents together."""
    own = {name: renamed(openapi.document(policy), name) for name, policy in policies.by_name.items()}
    first = next(iter(own.values()))
    schemas = {key: value for each in own.values() for key, value in each["components"]["schemas"].items()}
    described = "Several trained policies: observations in, actions out."
    asked = {**first["paths"]["/invocations"]["post"], **invocations(policies, own)}
    return {
        **first,
        "info": {**first["info"], "description": described},
        "paths": {**first["paths"], "/invocations": {"post": asked}},
        "components": {"schemas": schemas},
    }


def renamed(described: Any, policy: str) -> Any:
    """Give a document's components the policy's name, so that those of several stand beside each other."""
    if isinstance(described, list):
        return [renamed(each, policy) for each in described]
    if not isinstance(described, dict):
        return described
    found = {key: renamed(each, policy) for key, each in described.items()}
    if isinstance(found.get("$ref"), str):
        return {**found, "$ref": component(of(found["$ref"].rpartition("/")[2], policy))["$ref"]}
    if "schemas" in found:
        found["schemas"] = {of(name, policy): schema for name, schema in found["schemas"].items()}
    return found


def of(name: str, policy: str) -> str:
    """Name a component of one policy."""
    return name if name in SHARED else f"{name}.{policy}"


def invocations(policies: Policies, own: Mapping[str, Any]) -> Dict[str, Any]:
    """Describe the operation that asks the policies."""
    names = ", ".join(own)
    bodies = {name: each["paths"]["/invocations"]["post"] for name, each in own.items()}
    first = next(iter(bodies.values()))
    content = {
        media: {"schema": {"anyOf": [each["requestBody"]["content"][media]["schema"] for each in bodies.values()]}}
        for media in first["requestBody"]["content"]
    }
    content[JSON.name] = {"schema": json_request(policies, bodies), "example": by_agent_example(policies)}
    answers = {
        media: {
            "schema": {
                "anyOf": unique([each["responses"]["200"]["content"][media]["schema"] for each in bodies.values()])
            }
        }
        for media in first["responses"]["200"]["content"]
    }
    answers[JSON.name]["schema"]["anyOf"].append(json_answer(policies))
    right = {**first["responses"]["200"], "content": answers}
    return {
        "summary": "Ask a policy, or those of the agents, for actions",
        "description": f"The policies are {names}. A request names one, by `policy` or by the header {HEADER}, or "
        "gives its observations, and all else that is not for all, as objects by agent.",
        "parameters": [
            {
                "name": HEADER,
                "in": "header",
                "required": False,
                "description": "`policy=NAME` asks that policy",
                "schema": {"type": "string", "pattern": f"^(policy=({'|'.join(own)}))?$"},
            }
        ],
        "requestBody": {"required": True, "content": content},
        "responses": {**first["responses"], "200": right},
    }


def unique(schemas: List[Schema]) -> List[Schema]:
    """Return the schemas, each once."""
    return [schema for index, schema in enumerate(schemas) if schema not in schemas[:index]]


def json_request(policies: Policies, bodies: Mapping[str, Any]) -> Schema:
    """Describe the forms of JSON: those of each policy with its name, those without a name, and by agent."""
    forms: List[Schema] = [by_agent(policies)]
    for name, asked in bodies.items():
        for form in asked["requestBody"]["content"][JSON.name]["schema"]["anyOf"]:
            if form.get("type") == "object":
                properties = {**form["properties"], "policy": {"type": "string", "enum": [name]}}
                forms.append({**form, "properties": properties})
            else:
                forms.append(form)
    return {"anyOf": unique(forms)}


def by_agent(policies: Policies) -> Schema:
    """Describe a request by agent."""
    observations = either_of(policies, "Observation")
    own = {"type": "object", "additionalProperties": {}, "description": "by agent, where the agent's policy takes it"}
    known = {
        "observations": {**observations, "minProperties": 1},
        "deterministic": {"type": "boolean", "default": True},
    }
    states = max(len(policy.state_sizes) for policy in policies.by_name.values())
    fields = [*(f"state_in_{i}" for i in range(states)), "prev_action", "prev_reward"]
    return closed({**known, **dict.fromkeys(fields, own)}, ["observations"])


def json_answer(policies: Policies) -> Schema:
    """Describe an answer by agent."""
    return closed({"outputs": either_of(policies, "Outputs")}, ["outputs"])


def either_of(policies: Policies, name: str) -> Schema:
    """Describe an object by agent, whose values are of the policies' component of that name."""
    schemas = [component(of(name, policy)) for policy in policies.by_name]
    many = [{"type": "array", "minItems": 1, "items": schema} for schema in schemas] if name == "Observation" else []
    return {
        "type": "object",
        "additionalProperties": {"anyOf": [*schemas, *many]},
        "description": "by agent; whose policy is whose: "
        + ", ".join(f"{agent}: {policy}" for agent, policy in policies.table.items()),
    }


def by_agent_example(policies: Policies) -> Dict[str, Any]:
    """Make a request by agent: zeros."""
    agents = {agent.replace("*", "1"): agent for agent in policies.table}
    known = ((agent, policies.by_name[policy_of(agent, policies.table) or ""]) for agent in agents)
    return {"observations": {agent: example(policy.observation_space) for agent, policy in known}}
