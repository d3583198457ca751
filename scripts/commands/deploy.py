"""`scripts/deploy`: a job's model behind an endpoint of SageMaker's, served by our image or by another."""

from __future__ import annotations

import argparse
import json
import re
import time
from typing import Any, Callable, List, Mapping, Sequence

from rl_app.errors import JobError, UserError
from rl_app.job import sagemaker
from rl_app.storage import layout
from scripts.lib import (
    aws,
    buckets,
    cli,
    endpoints,
    execution_role,
    instances,
    placeholders,
    pushed_images,
    training_jobs,
)
from scripts.lib.endpoints import INSTANCE_TYPE, EndpointRequest
from scripts.lib.images import NAME
from scripts.lib.jobs import ENDED, state_line
from scripts.lib.placeholders import Placeholders

POLL_S = 10.0
UNDER_WAY = ("Creating", "Updating", "SystemUpdating", "RollingBack")

EXAMPLES = """
examples:
  scripts/deploy cartpole-2026-01-31-12-00-00                    the job's model, in the image that trained it
  scripts/deploy cartpole-2026-01-31-12-00-00 --endpoint cartpole     again: the endpoint is updated in place
  scripts/deploy JOB --server URI                                another image, such as AWS's TensorFlow inference
  scripts/deploy s3://bucket/model.tar.gz --endpoint mine --role arn:aws:iam::123456789012:role/rl
  scripts/deploy JOB --dry-run                                   the requests; nothing is asked, <…> are placeholders

The endpoint's name goes to standard output once it is in service. scripts/predict asks it, scripts/delete removes it.
It costs money until then. Exit status: 0 in service, 1 failed, 2 refused.
"""


@cli.command
def main(arguments: Sequence[str], open_session: Callable[[], Any] = aws.session) -> int:
    """Deploy one model; return the exit status."""
    options = parse(arguments)
    check(options)
    session = open_session()
    wanted = resolve(options, session)
    if options.dry_run:
        requests = {
            "CreateModel": endpoints.model_request(wanted),
            "CreateEndpointConfig": endpoints.configuration_request(wanted),
            "CreateEndpoint": endpoints.endpoint_request(wanted),
        }
        print(json.dumps(requests, indent=2))
        return 0
    try:
        deploy(wanted, aws.client(session, "sagemaker"))
    except KeyboardInterrupt:
        cli.note(f"the endpoint goes on being made; `scripts/delete {wanted.endpoint}` removes it")
        raise
    print(wanted.endpoint)
    return 0


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = cli.parser("deploy", "Deploy a model behind an endpoint on SageMaker.", EXAMPLES)
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
    """Refuse what SageMaker would refuse; raises UserError."""
    by_url = options.model.startswith("s3://")
    if not by_url:
        sagemaker.check_job_name(options.model)
    if by_url and not re.fullmatch(r"s3://[^/]+/.+\.tar\.gz", options.model):
        raise UserError(f"{options.model}: a model is an archive, s3://BUCKET/…/model.tar.gz")
    if by_url and not options.endpoint:
        raise UserError(f"{options.model}: a model given by its URL takes --endpoint NAME")
    instances.check(options.instance_type)
    if options.count < 1:
        raise UserError(f"--count {options.count}: at least 1")
    if options.endpoint:
        sagemaker.check_job_name(options.endpoint)


def resolve(options: argparse.Namespace, session: Any) -> EndpointRequest:
    """Make the request of the options; what they leave open is the job's own. Raises UserError, JobError."""
    endpoint = options.endpoint or options.model
    environment, tags = cli.pairs(options.env, "--env"), cli.pairs(options.tag, "--tag")
    open_values = Placeholders(options.dry_run)
    region = open_values.known(lambda: aws.region_of(session), placeholders.REGION)
    by_url = options.model.startswith("s3://")
    job = {} if by_url or options.dry_run else trained(options.model, aws.client(session, "sagemaker"))
    image = options.server or job.get("AlgorithmSpecification", {}).get("TrainingImage")
    image = image or pushed_images.of_request(options.instance_type, region, open_values, "--server")
    own_role = None if options.role else job.get("RoleArn")
    role = own_role or execution_role.of_request(options.role, session, open_values)
    model = options.model if by_url else model_of(options.model, job, open_values)
    open_values.explain()
    return EndpointRequest(
        endpoint=endpoint,
        part=endpoints.part_name(endpoint),
        image=image,
        model=model,
        role=role,
        instance_type=options.instance_type,
        count=options.count,
        environment=environment,
        tags={"project": NAME, **tags},
    )


def model_of(name: str, job: Mapping[str, Any], open_values: Placeholders) -> str:
    """Return the URL of a job's model; in a dry run, which does not look at the job, a placeholder."""
    if job:
        return str(job["ModelArtifacts"]["S3ModelArtifacts"])
    bucket = buckets.default(placeholders.REGION, placeholders.ACCOUNT)
    why = f"a dry run does not look at job {name}, whose image and role are taken too"
    return open_values.put(f"s3://{bucket}/{name}/{layout.MODEL}", why)


def trained(name: str, service: Any) -> Mapping[str, Any]:
    """Return the description of a job that has left a model; raises UserError."""
    job = training_jobs.describe(name, service)
    if job["TrainingJobStatus"] not in ENDED:
        raise UserError(f"{name}: it is {state_line(job)}; scripts/watch {name} waits for its model")
    if not job.get("ModelArtifacts", {}).get("S3ModelArtifacts"):
        raise UserError(f"{name}: it is {state_line(job)}, and left no model")
    return job


# ---- sending them ----


def deploy(wanted: EndpointRequest, service: Any, pause: Callable[[float], None] = time.sleep) -> None:
    """Make model and configuration, then make the endpoint or update it, and wait until it is in service.

    What an update has replaced is removed.

    Raises:
        UserError, JobError: with what was made before, and is still there.
    """
    made: List[str] = []
    replaced = endpoints.describe(wanted.endpoint, service)
    if replaced and replaced["EndpointStatus"] in UNDER_WAY:
        raise UserError(f"endpoint {wanted.endpoint}: it is {replaced['EndpointStatus']}; wait until it is in service")
    with aws.translate_errors(f"model {wanted.part}", made):
        service.create_model(**endpoints.model_request(wanted))
        made.append(f"model {wanted.part}")
    with aws.translate_errors(f"endpoint configuration {wanted.part}", made):
        service.create_endpoint_config(**endpoints.configuration_request(wanted))
        made.append(f"endpoint configuration {wanted.part}")
    with aws.translate_errors(f"endpoint {wanted.endpoint}", made):
        if replaced:
            service.update_endpoint(EndpointName=wanted.endpoint, EndpointConfigName=wanted.part)
        else:
            service.create_endpoint(**endpoints.endpoint_request(wanted))
            made.append(f"endpoint {wanted.endpoint}")
    wait(wanted, service, made, pause)
    if replaced:
        old = endpoints.parts_of(replaced["EndpointConfigName"], service)
        left = endpoints.remove([part for part in old if part.name != wanted.part], service)
        if left:
            cli.note(f"what was served before could not be removed: {'; '.join(left)}")


def wait(wanted: EndpointRequest, service: Any, made: Sequence[str], pause: Callable[[float], None]) -> None:
    """Wait until the endpoint serves what is wanted. Raises JobError."""
    seen = None
    while True:
        endpoint = endpoints.describe(wanted.endpoint, service)
        status = endpoint["EndpointStatus"] if endpoint else "gone"
        if status != seen:
            cli.note(f"{wanted.endpoint}: {status}")
            seen = status
        if endpoint is None or status not in UNDER_WAY:
            break
        pause(POLL_S)
    if endpoint and status == "InService" and endpoint["EndpointConfigName"] == wanted.part:
        return
    reason = " ".join(str((endpoint or {}).get("FailureReason") or "SageMaker gives no reason").split())
    raise JobError(
        f"endpoint {wanted.endpoint}: {status}: {reason}; still there: {', '.join(made)}; "
        f"`scripts/delete {wanted.endpoint}` removes all of it"
    )
