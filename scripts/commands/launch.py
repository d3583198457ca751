"""`scripts/launch`: a job on SageMaker, checked here as it is checked there, and sent as one request."""

from __future__ import annotations

import argparse
import json
import re
import secrets
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Callable, Dict, Mapping, Optional, Sequence

from rl_app.cluster.proof import PASSWORD
from rl_app.errors import UserError
from rl_app.job import hyperparameters, sagemaker
from rl_app.job.settings import Settings
from rl_app.local import durations, flags, request
from rl_app.local.request import JobRequest
from rl_app.storage import layout
from scripts.lib import (
    aws,
    buckets,
    cli,
    execution_role,
    following,
    instances,
    placeholders,
    pushed_images,
    training_request,
)
from scripts.lib.images import NAME
from scripts.lib.instances import InstanceGroup
from scripts.lib.placeholders import Placeholders
from scripts.lib.training_request import INSTANCE_TYPE, VOLUME_GB, TrainingRequest

EXAMPLES = """
examples:
  scripts/launch train                                  the default experiment, CartPole
  scripts/launch train cartpole-aws config.lr=0.001 seed=3 --instance-type ml.c5.4xlarge --wait
  scripts/launch train --dry-run                        the request; nothing is asked or made, <…> are placeholders
  scripts/launch train --spot --tag team=rl             at the price of spot instances; goes on where it was interrupted
  scripts/launch train --instance-count 4               one job on four hosts: four times the workers
  scripts/launch train --instance-group one:ml.c5.xlarge:1 --instance-group many:ml.c5.4xlarge:3 head_group=one
  scripts/launch train corridor --source examples/corridor
  scripts/launch train --from cartpole-2026-01-31-12-00-00 config.lr=0.0001     begins with the weights of that job
  scripts/launch train --program examples/program/random_search.py tries=50
  scripts/launch evaluate cartpole-2026-01-31-12-00-00 evaluate_episodes=100     a job's model, or s3://…/model.tar.gz

Experiments and KEY=VALUE are those of scripts/train, and of scripts/evaluate. Instances ml.p* and ml.g* run the GPU
image, others the CPU image, as scripts/push pushed it last. The role is --role, or that of the notebook that this runs
in, or the one that `scripts/role --create` made. Files go to s3://sagemaker-REGION-ACCOUNT, or to --store.
The job's name goes to standard output. Exit status: 0 launched (with --wait: completed), 1 failed, 2 refused.
"""


ON_SAGEMAKER = {
    "--from": {"help": "begin with the weights of a job of the store, or of a model.tar.gz at s3://"},
    "--channel": {"metavar": "NAME=s3://…"},
    "--store": {"metavar": "s3://BUCKET[/PREFIX]", "help": "default: the bucket of the account and the region"},
}
"""What the help says otherwise than elsewhere of flags that all jobs have."""
WORDS_ON_SAGEMAKER = {
    **flags.WORDS,
    "evaluate": ("MODEL | KEY=VALUE", "a job of the store or s3://…, and settings to change"),
}


@dataclass(frozen=True)
class Options:
    """A job, and what of SageMaker's it is to run on."""

    job: JobRequest
    instance_type: str
    instance_count: int
    instance_groups: Sequence[InstanceGroup]
    image: Optional[str]
    role: Optional[str]
    spot: bool
    max_wait: Optional[int]
    volume: int
    subnet: Sequence[str]
    security_group: Sequence[str]
    kms_key: Optional[str]
    env: Sequence[str]
    tag: Sequence[str]
    dry_run: bool
    wait: bool

    @property
    def hosts(self) -> int:
        """How many hosts the job has."""
        return sum(group.instances for group in self.instance_groups) or self.instance_count

    @property
    def instance_types(self) -> Sequence[str]:
        """The types of its instances, those with a GPU first: with one, all hosts run the GPU image."""
        types = {group.instance_type for group in self.instance_groups} or {self.instance_type}
        return sorted(types, key=lambda kind: (pushed_images.flavor_of(kind) != "gpu", kind))


@cli.command
def main(arguments: Sequence[str], open_session: Callable[[], Any] = aws.session) -> int:
    """Check, then print or send the request; return the exit status."""
    options = parse(arguments)
    raw = check(options)
    session = open_session()
    for kind in options.instance_types:
        instances.check_for_training(kind, instances.known_for_training())
    job = resolve(options, raw, session)
    if options.dry_run:
        print(json.dumps(training_request.shown(training_request.request(job)), indent=2))
        return 0
    training_request.send(job, [Path(path) for path in options.job.code], session)
    print(job.name, flush=True)
    if options.wait:
        return following.follow_cloud(job.name, session)
    cli.note(f"next: scripts/watch {job.name}")
    return 0


def parse(arguments: Sequence[str]) -> Options:
    """Read the command line; raises UserError."""
    parser = cli.parser("launch", "Launch a training or evaluation job on SageMaker.", EXAMPLES)
    parser.add_argument("command", choices=["train", "evaluate"], help="what the job does")
    hidden = ["--resume", "--interrupt-after"]
    flags.declare(parser, ["train", "evaluate"], hidden, instead=ON_SAGEMAKER, words=WORDS_ON_SAGEMAKER)
    parser.add_argument("--instance-type", metavar="TYPE", default=INSTANCE_TYPE, help=f"default: {INSTANCE_TYPE}")
    parser.add_argument("--instance-count", metavar="N", type=int, default=1, help="hosts of one job; default: 1")
    one_kind = "in place of the two above: a kind of hosts; may be given again"
    parser.add_argument("--instance-group", metavar="NAME:TYPE:N", action="append", default=[], help=one_kind)
    parser.add_argument("--image", metavar="URI", help="default: what scripts/push pushed last")
    parser.add_argument("--role", metavar="ARN | NAME", help="what the job runs as")
    parser.add_argument("--spot", action="store_true", help="spot instances")
    parser.add_argument("--max-wait", metavar="S", type=int, help="with --spot: run and wait; default: max_run + 1 h")
    parser.add_argument("--volume", metavar="GB", type=int, default=VOLUME_GB, help=f"disk; default: {VOLUME_GB}")
    parser.add_argument("--subnet", metavar="ID", action="append", default=[], help="of a VPC; with --security-group")
    parser.add_argument("--security-group", metavar="ID", action="append", default=[], help="of a VPC; with --subnet")
    parser.add_argument("--kms-key", metavar="KEY", help="encrypts the disk and the artifacts")
    parser.add_argument("--env", metavar="KEY=VALUE", action="append", default=[], help="the container's environment")
    parser.add_argument("--tag", metavar="KEY=VALUE", action="append", default=[], help="a tag of the job")
    parser.add_argument("--dry-run", action="store_true", help="print the request, and call nothing")
    parser.add_argument("--wait", action="store_true", help="follow the job, as scripts/watch does")
    options = vars(flags.read(parser, arguments))
    job = request.parse(argparse.Namespace(**options), options["command"], environ={})
    options["instance_groups"] = instances.groups(options["instance_group"])
    own = {option.name: options[option.name] for option in fields(Options) if option.name != "job"}
    return Options(job, **own)


# ---- what is checked here ----


def check(options: Options) -> Dict[str, str]:
    """Return the job's hyperparameters, checked as the container checks them; raises UserError."""
    job = options.job
    if job.resume:
        raise UserError(f"--resume {job.resume}: goes with scripts/train; on SageMaker a job goes on by itself, --spot")
    if job.interrupt_after:
        raise UserError(f"--interrupt-after {job.interrupt_after}: goes with scripts/train, which rehearses --spot")
    for name, place in job.channels.items():
        if not place.startswith("s3://"):
            raise UserError(f"--channel {name}={place}: SageMaker reads s3://…, where `aws s3 cp` brings it")
    if job.store:
        buckets.check_store(job.store)
    if bool(options.subnet) != bool(options.security_group):
        raise UserError("--subnet and --security-group: a VPC takes both")
    if options.max_wait is not None and not options.spot:
        raise UserError(f"--max-wait {options.max_wait}: goes with --spot")
    if options.instance_count < 1:
        raise UserError(f"--instance-count {options.instance_count}: at least 1")
    if options.instance_count > 1 and job.command == "evaluate":
        raise UserError(f"--instance-count {options.instance_count}: an evaluation runs on one host")
    if options.instance_groups:
        check_groups(options)
    if options.volume < 1:
        raise UserError(f"--volume {options.volume}: at least 1 GB")
    raw = hyperparameters_of(job)
    longest = durations.max_run(raw)
    if options.max_wait is not None and options.max_wait < longest:
        raise UserError(f"--max-wait {options.max_wait}: less than max_run, {longest} s; it counts the running too")
    return raw


def check_groups(options: Options) -> None:
    """Refuse groups beside what they stand in place of, and for an evaluation; raises UserError."""
    names, named = [group.name for group in options.instance_groups], options.job.raw.get("head_group")
    if (options.instance_type, options.instance_count) != (INSTANCE_TYPE, 1):
        raise UserError("--instance-group: has type and number, which --instance-type and --instance-count give")
    if options.job.command == "evaluate":
        raise UserError("--instance-group: an evaluation runs on one host")
    if named is not None and named not in names:
        raise UserError(f"head_group = {named}: must be one of {', '.join(names)}")


def hyperparameters_of(job: JobRequest) -> Dict[str, str]:
    """Return those of the job, by full name; raises UserError."""
    if job.command == "evaluate" and len(job.models) != 1:
        raise UserError(f"{' and '.join(job.models) or 'evaluate'}: takes one model, a job or s3://…/model.tar.gz")
    request.check(job)
    if job.command == "evaluate" or job.program:
        return job.raw
    return {"experiment": Settings.experiment, **job.raw}


# ---- what is left open ----


def resolve(options: Options, raw: Mapping[str, str], session: Any) -> TrainingRequest:
    """Make the request of the options, with what they leave open looked up.

    A dry run looks up nothing: it says which values are placeholders.

    Raises:
        UserError: something is missing.
    """
    open_values = Placeholders(options.dry_run)
    region = open_values.known(lambda: aws.region_of(session), placeholders.REGION)
    image = options.image or pushed_images.of_request(options.instance_types[0], region, open_values, "--image")
    role = execution_role.of_request(options.role, session, open_values)
    open_values.explain()
    store = (options.job.store or f"s3://{buckets.default(region, role.split(':')[4])}").rstrip("/")
    name = options.job.job or training_request.default_name(subject(options.job, raw))
    longest = durations.max_run(raw)
    reserved = training_request.reserved_hyperparameters(name, store, region, bool(options.job.code))
    job = TrainingRequest(
        name=name,
        image=image,
        role=role,
        store=store,
        hyperparameters={**raw, **reserved},
        instance_type=options.instance_type,
        instance_count=options.instance_count,
        instance_groups=options.instance_groups,
        volume_gb=options.volume,
        max_run=longest,
        max_wait=(options.max_wait or longest + 3600) if options.spot else None,
        model=training_request.model_url(options.job.models[0], store) if options.job.models else None,
        channel="model" if options.job.command == "evaluate" else sagemaker.WEIGHTS,
        channels=options.job.channels,
        subnets=options.subnet,
        security_groups=options.security_group,
        kms_key=options.kms_key,
        environment={**secret_of(options), **cli.pairs(options.env, "--env")},
        tags={"project": NAME, **cli.pairs(options.tag, "--tag")},
        policies=request.policies(options.job),
    )
    hyperparameters.check_limits(job.hyperparameters)
    return job


def secret_of(options: Options) -> Dict[str, str]:
    """Return the password by which the hosts of a job know each other; a dry run prints none."""
    if options.hosts == 1:
        return {}
    return {PASSWORD: "<random>" if options.dry_run else secrets.token_hex(32)}


def subject(job: JobRequest, raw: Mapping[str, str]) -> str:
    """Say what the job is about, to be named after."""
    if job.program:
        return Path(job.program).stem
    if job.command == "train":
        return raw["experiment"]
    (model,) = job.models
    trained = re.fullmatch(f"s3://.*/([^/]+)/{layout.MODEL}", model)
    return f"{trained[1] if trained else Path(model).name.partition('.')[0]}"[:30] + "-evaluation"
