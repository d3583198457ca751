"""`scripts/delete`: an endpoint with its configurations and models, all of it or a word on what is left."""

from __future__ import annotations

import argparse
import re
import sys
from typing import Any, Callable, Dict, List, NamedTuple, Sequence

from rl_app import sagemaker
from rl_app.errors import JobError, UserError
from scripts import aws
from scripts.environments import SetUpError

EXAMPLES = """
examples:
  scripts/delete cartpole      the endpoint, and all configurations and models that scripts/deploy made for it

The model's files stay in S3. Exit status: 0 nothing is left, 1 something is, 2 refused.
"""


class Part(NamedTuple):
    """A thing of SageMaker's: "endpoint", "endpoint configuration" or "model"."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


def main(arguments: Sequence[str], open_session: Callable[[], Any] = aws.session) -> int:
    """Deletes one endpoint; returns the exit status."""
    options = parse(arguments)
    try:
        sagemaker.check_job_name(options.endpoint)
        service = aws.client(open_session(), "sagemaker")
        parts = find(options.endpoint, service)
        if not parts:
            raise UserError(f"{options.endpoint}: there is no such endpoint, and nothing left of one")
        left = remove(parts, service)
        if left:
            raise JobError(f"{options.endpoint}: still there: {'; '.join(left)}")
    except (UserError, JobError, SetUpError) as error:
        print(error, file=sys.stderr)
        return error.errno
    except KeyboardInterrupt:
        return 130
    return 0


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="scripts/delete",
        description="Delete an endpoint and what it is made of.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("endpoint", metavar="ENDPOINT", help="its name")
    return parser.parse_args(list(arguments))


def find(name: str, service: Any) -> List[Part]:
    """The endpoint and its parts, and what earlier deployments of it left, in the order to delete them.

    Raises:
        UserError, JobError: AWS does not tell.
    """
    from botocore.exceptions import ClientError

    with aws.told(f"endpoint {name}"):
        try:
            configuration = service.describe_endpoint(EndpointName=name)["EndpointConfigName"]
            parts = [Part("endpoint", name), *parts_of(configuration, service)]
        except ClientError as error:
            if not aws.is_missing(error):
                raise
            parts = []
        parts += [
            Part("endpoint configuration", found["EndpointConfigName"])
            for page in service.get_paginator("list_endpoint_configs").paginate(NameContains=name[:43])
            for found in page["EndpointConfigs"]
            if is_of(name, found["EndpointConfigName"])
        ]
        parts += [
            Part("model", found["ModelName"])
            for page in service.get_paginator("list_models").paginate(NameContains=name[:43])
            for found in page["Models"]
            if is_of(name, found["ModelName"])
        ]
    order = ("endpoint", "endpoint configuration", "model")
    return sorted(set(parts), key=lambda part: (order.index(part.kind), part.name))


def is_of(endpoint: str, part: str) -> bool:
    """Whether scripts/deploy gave a part this name for the endpoint."""
    return re.fullmatch(re.escape(endpoint[:43]) + r"-\d{4}(-\d\d){5}", part) is not None


def parts_of(configuration: str, service: Any) -> List[Part]:
    """An endpoint's configuration and its models. Raises UserError, JobError."""
    with aws.told(f"endpoint configuration {configuration}"):
        variants = service.describe_endpoint_config(EndpointConfigName=configuration)["ProductionVariants"]
    return [Part("endpoint configuration", configuration), *(Part("model", each["ModelName"]) for each in variants)]


def remove(parts: Sequence[Part], service: Any) -> List[str]:
    """Deletes the parts, each whatever becomes of the others; returns those that are left, with the reasons."""
    calls: Dict[str, Callable[[str], Any]] = {
        "endpoint": lambda name: service.delete_endpoint(EndpointName=name),
        "endpoint configuration": lambda name: service.delete_endpoint_config(EndpointConfigName=name),
        "model": lambda name: service.delete_model(ModelName=name),
    }
    left = []
    for part in parts:
        try:
            with aws.told(str(part)):
                calls[part.kind](part.name)
            aws.note(f"deleted {part}")
        except (UserError, JobError) as error:
            left.append(str(error))
    return left
