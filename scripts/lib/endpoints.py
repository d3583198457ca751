"""Endpoints of SageMaker's: what one serves as a value, the requests that make it, and the parts that it leaves."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Sequence

from rl_app.errors import JobError, UserError
from scripts.lib import aws, cli

INSTANCE_TYPE = "ml.m5.large"


@dataclass(frozen=True)
class EndpointRequest:
    """A model and what serves it. ``part`` names model and configuration, of which each deployment has its own."""

    endpoint: str
    part: str
    image: str
    model: str
    role: str
    instance_type: str = INSTANCE_TYPE
    count: int = 1
    environment: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)


def model_request(wanted: EndpointRequest) -> Dict[str, Any]:
    """Write CreateModel."""
    container: Dict[str, Any] = {"Image": wanted.image, "ModelDataUrl": wanted.model}
    if wanted.environment:
        container["Environment"] = dict(wanted.environment)
    return {
        "ModelName": wanted.part,
        "PrimaryContainer": container,
        "ExecutionRoleArn": wanted.role,
        "Tags": aws.tags(wanted.tags),
    }


def configuration_request(wanted: EndpointRequest) -> Dict[str, Any]:
    """Write CreateEndpointConfig."""
    variant = {
        "VariantName": "AllTraffic",
        "ModelName": wanted.part,
        "InitialInstanceCount": wanted.count,
        "InstanceType": wanted.instance_type,
    }
    return {"EndpointConfigName": wanted.part, "ProductionVariants": [variant], "Tags": aws.tags(wanted.tags)}


def endpoint_request(wanted: EndpointRequest) -> Dict[str, Any]:
    """Write CreateEndpoint."""
    return {"EndpointName": wanted.endpoint, "EndpointConfigName": wanted.part, "Tags": aws.tags(wanted.tags)}


def describe(name: str, service: Any) -> Optional[Mapping[str, Any]]:
    """Return DescribeEndpoint; None where there is no such endpoint. Raises UserError, JobError."""
    from botocore.exceptions import ClientError

    with aws.translate_errors(f"endpoint {name}"):
        try:
            found: Mapping[str, Any] = service.describe_endpoint(EndpointName=name)
            return found
        except ClientError as error:
            if aws.is_missing(error):
                return None
            raise


# ---- what it is made of ----


class Part(NamedTuple):
    """A thing of SageMaker's: "endpoint", "endpoint configuration" or "model"."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


KINDS = ("endpoint", "endpoint configuration", "model")
"""The kinds of parts in the order to delete them."""


def find_parts(name: str, service: Any) -> List[Part]:
    """Find the endpoint and its parts, and what earlier deployments of it left, in the order to delete them.

    Raises:
        UserError, JobError: AWS does not tell.
    """
    there = describe(name, service)
    parts = [Part("endpoint", name), *parts_of(there["EndpointConfigName"], service)] if there else []
    with aws.translate_errors(f"endpoint {name}"):
        parts += [
            Part("endpoint configuration", found["EndpointConfigName"])
            for page in service.get_paginator("list_endpoint_configs").paginate(NameContains=name[:43])
            for found in page["EndpointConfigs"]
            if is_part(name, found["EndpointConfigName"])
        ]
        parts += [
            Part("model", found["ModelName"])
            for page in service.get_paginator("list_models").paginate(NameContains=name[:43])
            for found in page["Models"]
            if is_part(name, found["ModelName"])
        ]
    return sorted(set(parts), key=lambda part: (KINDS.index(part.kind), part.name))


def part_name(endpoint: str) -> str:
    """Name the parts of a deployment, for which AWS allows 63 characters, after the endpoint and the time."""
    return f"{endpoint[:43]}-{datetime.now(timezone.utc):%Y-%m-%d-%H-%M-%S}"


def is_part(endpoint: str, part: str) -> bool:
    """Tell whether scripts/deploy gave a part this name for the endpoint."""
    return re.fullmatch(re.escape(endpoint[:43]) + r"-\d{4}(-\d\d){5}", part) is not None


def parts_of(configuration: str, service: Any) -> List[Part]:
    """Return an endpoint's configuration and its models. Raises UserError, JobError."""
    with aws.translate_errors(f"endpoint configuration {configuration}"):
        variants = service.describe_endpoint_config(EndpointConfigName=configuration)["ProductionVariants"]
    return [Part("endpoint configuration", configuration), *(Part("model", each["ModelName"]) for each in variants)]


def remove(parts: Sequence[Part], service: Any) -> List[str]:
    """Delete the parts, each whatever becomes of the others; return those that are left, with the reasons."""
    calls: Dict[str, Callable[[str], Any]] = {
        "endpoint": lambda name: service.delete_endpoint(EndpointName=name),
        "endpoint configuration": lambda name: service.delete_endpoint_config(EndpointConfigName=name),
        "model": lambda name: service.delete_model(ModelName=name),
    }
    left = []
    for part in parts:
        try:
            with aws.translate_errors(str(part)):
                calls[part.kind](part.name)
            cli.note(f"deleted {part}")
        except (UserError, JobError) as error:
            left.append(str(error))
    return left
