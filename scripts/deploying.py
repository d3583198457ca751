"""`scripts/deploy`: a job's model behind an endpoint of SageMaker's, served by our image or by another."""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence

from rl_app import sagemaker
from rl_app.errors import JobError, UserError
from scripts import aws, cloud, deleting, launching, pushing, watching
from scripts.building import NAME
from scripts.environments import SetUpError

INSTANCE_TYPE = "ml.m5.large"
POLL_S = 10.0
UNDER_WAY = ("Creating", "Updating", "SystemUpdating", "RollingBack")

EXAMPLES = """
examples:
  scripts/deploy cartpole-2026-01-31-12-00-00                    the job's model, in the image that trained it
  scripts/deploy cartpole-2026-01-31-12-00-00 --endpoint cartpole     again: the endpoint is updated in place
  scripts/deploy JOB --server URI                                another image, such as AWS's TensorFlow inference
  scripts/deploy s3://bucket/model.tar.gz --endpoint mine --role arn:aws:iam::123456789012:role/rl
  scripts/deploy s3://bucket/model.tar.gz --endpoint mine --role arn:… --dry-run    the requests; nothing is asked

The endpoint's name goes to standard output once it is in service. scripts/predict asks it, scripts/delete removes it.
It costs money until then. Exit status: 0 in service, 1 failed, 2 refused.
"""


@dataclass(frozen=True)
class Order:
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


def main(arguments: Sequence[str], open_session: Callable[[], Any] = aws.session) -> int:
    """Deploys one model; returns the exit status."""
    options = parse(arguments)
    try:
        check(options)
        session = open_session()
        aws.region_of(session)
        order = place(options, session)
        if options.dry_run:
            requests = {
                "CreateModel": model_request(order),
                "CreateEndpointConfig": configuration_request(order),
                "CreateEndpoint": endpoint_request(order),
            }
            print(json.dumps(requests, indent=2))
            return 0
        deploy(order, aws.client(session, "sagemaker"))
    except (UserError, JobError, SetUpError) as error:
        print(error, file=sys.stderr)
        return error.errno
    except KeyboardInterrupt:
        aws.note(f"the endpoint goes on being made; `scripts/delete {options.endpoint or options.model}` removes it")
        return 130
    print(order.endpoint)
    return 0


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="scripts/deploy",
        description="Deploy a model behind an endpoint on SageMaker.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", metavar="JOB | URL", help="a job of SageMaker's, or s3://…/model.tar.gz")
    parser.add_argument("--endpoint", metavar="NAME", help="default: the job's name; one that is there is updated")
    parser.add_argument("--instance-type", metavar="TYPE", default=INSTANCE_TYPE, help=f"default: {INSTANCE_TYPE}")
    parser.add_argument("--count", metavar="N", type=int, default=1, help="instances; default: 1")
    parser.add_argument("--server", metavar="URI", help="the image that serves; default: the job's own")
    parser.add_argument("--role", metavar="ARN | NAME", help="default: the job's own")
    parser.add_argument("--env", metavar="KEY=VALUE", action="append", default=[], help="the container's environment")
    parser.add_argument("--tag", metavar="KEY=VALUE", action="append", default=[], help="a tag of all three parts")
    parser.add_argument("--dry-run", action="store_true", help="print the requests, and call nothing")
    return parser.parse_args(list(arguments))


def check(options: argparse.Namespace) -> None:
    """Refuses what SageMaker would refuse; raises UserError."""
    by_url = options.model.startswith("s3://")
    if not by_url:
        sagemaker.check_job_name(options.model)
        if options.dry_run:
            raise UserError("--dry-run asks AWS nothing, so the model has to be given by its URL, s3://…/model.tar.gz")
    if by_url and not re.fullmatch(r"s3://[^/]+/.+\.tar\.gz", options.model):
        raise UserError(f"{options.model}: a model is an archive, s3://BUCKET/…/model.tar.gz")
    if by_url and not options.endpoint:
        raise UserError(f"{options.model}: a model given by its URL takes --endpoint NAME")
    if options.count < 1:
        raise UserError(f"--count {options.count}: at least 1")
    if options.endpoint:
        sagemaker.check_job_name(options.endpoint)


def place(options: argparse.Namespace, session: Any) -> Order:
    """The order that the options make; what they leave open is the job's own. Raises UserError, JobError."""
    endpoint = options.endpoint or options.model
    environment, tags = launching.pairs(options.env, "--env"), launching.pairs(options.tag, "--tag")
    job = {} if options.model.startswith("s3://") else trained(options.model, aws.client(session, "sagemaker"))
    image = options.server or job.get("AlgorithmSpecification", {}).get("TrainingImage")
    if not image:
        region, flavor = aws.region_of(session), launching.flavor_of(options.instance_type)
        image = launching.last_pushed(flavor, region, pushing.remembered(pushing.REMEMBERED))
    role = job.get("RoleArn") if job and not options.role else launching.role_arn(options, session)
    return Order(
        endpoint=endpoint,
        part=f"{endpoint[:43]}-{datetime.now(timezone.utc):%Y-%m-%d-%H-%M-%S}",
        image=image,
        model=job["ModelArtifacts"]["S3ModelArtifacts"] if job else options.model,
        role=str(role),
        instance_type=options.instance_type,
        count=options.count,
        environment=environment,
        tags={"project": NAME, **tags},
    )


def trained(name: str, service: Any) -> Mapping[str, Any]:
    """The description of a job that has left a model; raises UserError."""
    job = cloud.describe(name, service)
    if job["TrainingJobStatus"] not in watching.ENDED:
        raise UserError(f"{name}: it is {watching.state_of(job)}; scripts/watch {name} waits for its model")
    if not job.get("ModelArtifacts", {}).get("S3ModelArtifacts"):
        raise UserError(f"{name}: it is {watching.state_of(job)}, and left no model")
    return job


# ---- the requests ----


def model_request(order: Order) -> Dict[str, Any]:
    """CreateModel."""
    container: Dict[str, Any] = {"Image": order.image, "ModelDataUrl": order.model}
    if order.environment:
        container["Environment"] = dict(order.environment)
    return {
        "ModelName": order.part,
        "PrimaryContainer": container,
        "ExecutionRoleArn": order.role,
        "Tags": tag_list(order),
    }


def configuration_request(order: Order) -> Dict[str, Any]:
    """CreateEndpointConfig."""
    variant = {
        "VariantName": "AllTraffic",
        "ModelName": order.part,
        "InitialInstanceCount": order.count,
        "InstanceType": order.instance_type,
    }
    return {"EndpointConfigName": order.part, "ProductionVariants": [variant], "Tags": tag_list(order)}


def endpoint_request(order: Order) -> Dict[str, Any]:
    """CreateEndpoint."""
    return {"EndpointName": order.endpoint, "EndpointConfigName": order.part, "Tags": tag_list(order)}


def tag_list(order: Order) -> List[Dict[str, str]]:
    """Tags as AWS takes them."""
    return [{"Key": key, "Value": value} for key, value in order.tags.items()]


# ---- sending them ----


def deploy(order: Order, service: Any, pause: Callable[[float], None] = time.sleep) -> None:
    """Makes model and configuration, then makes the endpoint or updates it, and waits until it is in service.

    What an update has replaced is removed.

    Raises:
        UserError, JobError: with what was made before, and is still there.
    """
    made: List[str] = []
    replaced = describe(order.endpoint, service)
    if replaced and replaced["EndpointStatus"] in UNDER_WAY:
        raise UserError(f"endpoint {order.endpoint}: it is {replaced['EndpointStatus']}; wait until it is in service")
    with aws.told(f"model {order.part}", made):
        service.create_model(**model_request(order))
        made.append(f"model {order.part}")
    with aws.told(f"endpoint configuration {order.part}", made):
        service.create_endpoint_config(**configuration_request(order))
        made.append(f"endpoint configuration {order.part}")
    with aws.told(f"endpoint {order.endpoint}", made):
        if replaced:
            service.update_endpoint(EndpointName=order.endpoint, EndpointConfigName=order.part)
        else:
            service.create_endpoint(**endpoint_request(order))
            made.append(f"endpoint {order.endpoint}")
    wait(order, service, made, pause)
    if replaced:
        old = deleting.parts_of(replaced["EndpointConfigName"], service)
        left = deleting.remove([part for part in old if part.name != order.part], service)
        if left:
            aws.note(f"what was served before could not be removed: {'; '.join(left)}")


def wait(order: Order, service: Any, made: Sequence[str], pause: Callable[[float], None]) -> None:
    """Returns once the endpoint serves the order. Raises JobError."""
    seen = None
    while True:
        endpoint = describe(order.endpoint, service)
        status = endpoint["EndpointStatus"] if endpoint else "gone"
        if status != seen:
            aws.note(f"{order.endpoint}: {status}")
            seen = status
        if endpoint is None or status not in UNDER_WAY:
            break
        pause(POLL_S)
    if endpoint and status == "InService" and endpoint["EndpointConfigName"] == order.part:
        return
    reason = " ".join(str((endpoint or {}).get("FailureReason") or "SageMaker gives no reason").split())
    raise JobError(
        f"endpoint {order.endpoint}: {status}: {reason}; still there: {', '.join(made)}; "
        f"`scripts/delete {order.endpoint}` removes all of it"
    )


def describe(name: str, service: Any) -> Optional[Mapping[str, Any]]:
    """The endpoint; None where there is none. Raises UserError, JobError."""
    from botocore.exceptions import ClientError

    with aws.told(f"endpoint {name}"):
        try:
            found: Mapping[str, Any] = service.describe_endpoint(EndpointName=name)
            return found
        except ClientError as error:
            if aws.is_missing(error):
                return None
            raise
