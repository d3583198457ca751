"""`scripts/launch`: a job on SageMaker, checked here as it is checked there, and sent as one request."""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

from rl_app import hyperparameters, metric_definitions, sagemaker, source
from rl_app.errors import JobError, UserError
from rl_app.experiments import EXPERIMENTS
from scripts import aws, pushing, roles, watching
from scripts.building import NAME
from scripts.environments import SetUpError

INSTANCE_TYPE = "ml.c5.xlarge"
VOLUME_GB = 30
MAX_RUN_S = hyperparameters.Settings.max_run
# SageMaker writes it on notebook instances and in Studio, whose credentials are an execution role's.
NOTEBOOK = Path("/opt/ml/metadata/resource-metadata.json")
ECR_IMAGE = re.compile(
    r"(?P<account>[0-9]{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.[a-z.]+/"
    r"(?P<repository>[^:@]+)(:(?P<tag>[^@]+))?(@(?P<digest>sha256:.+))?"
)
NOT_IN_ECR = ("ImageNotFoundException", "RepositoryNotFoundException")
STORE = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(/[^/].*?)?/*")

EXAMPLES = """
examples:
  scripts/launch train                                  the default experiment, CartPole
  scripts/launch train cartpole-aws config.lr=0.001 seed=3 --instance-type ml.c5.4xlarge --wait
  scripts/launch train --dry-run --role arn:aws:iam::123456789012:role/rl    the request; nothing is asked or made
  scripts/launch train --spot --tag team=rl             at the price of spot instances; goes on where it was interrupted
  scripts/launch train corridor --source examples/corridor
  scripts/launch train --program examples/program/random_search.py tries=50
  scripts/launch evaluate cartpole-2026-01-31-12-00-00 evaluate_episodes=100     a job's model, or s3://…/model.tar.gz

Experiments and KEY=VALUE are those of scripts/train, and of scripts/evaluate. Instances ml.p* and ml.g* run the GPU
image, others the CPU image, as scripts/push pushed it last. The role is --role, or that of the notebook that this runs
in, or the one that `scripts/role --create` made. Files go to s3://sagemaker-REGION-ACCOUNT, or to --store.
The job's name goes to standard output. Exit status: 0 launched (with --wait: completed), 1 failed, 2 refused.
"""


@dataclass(frozen=True)
class Order:
    """A training job, with all that its request says. ``store`` has no slash at its end."""

    name: str
    image: str
    role: str
    store: str
    hyperparameters: Mapping[str, str]
    instance_type: str = INSTANCE_TYPE
    volume_gb: int = VOLUME_GB
    max_run: int = MAX_RUN_S
    max_wait: Optional[int] = None  # seconds, of a spot job
    model: Optional[str] = None
    subnets: Sequence[str] = ()
    security_groups: Sequence[str] = ()
    kms_key: Optional[str] = None
    environment: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)


def main(arguments: Sequence[str], open_session: Callable[[], Any] = aws.session) -> int:
    """Checks, then prints or sends the request; returns the exit status."""
    options = parse(arguments)
    try:
        raw = check(options)
        session = open_session()
        check_instance_type(options.instance_type, known_instance_types())
        order = place(options, raw, session)
        if options.dry_run:
            print(json.dumps(request(order), indent=2))
            return 0
        send(order, own_code(options), session)
    except (UserError, JobError, SetUpError) as error:
        print(error, file=sys.stderr)
        return error.errno
    except KeyboardInterrupt:
        return 130
    print(order.name, flush=True)
    if options.wait:
        return watching.follow_cloud(order.name, session)
    aws.note(f"next: scripts/watch {order.name}")
    return 0


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="scripts/launch",
        description="Launch a training or evaluation job on SageMaker.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", choices=["train", "evaluate"], help="what the job does")
    parser.add_argument("words", nargs="*", metavar="EXPERIMENT | MODEL | KEY=VALUE", help="as for scripts/train")
    parser.add_argument("--job", metavar="NAME", help="default: the experiment and the time (UTC)")
    parser.add_argument("--model", metavar="JOB | URL", help="what is evaluated, as MODEL is")
    parser.add_argument("--instance-type", metavar="TYPE", default=INSTANCE_TYPE, help=f"default: {INSTANCE_TYPE}")
    parser.add_argument("--image", metavar="URI", help="default: what scripts/push pushed last")
    parser.add_argument("--role", metavar="ARN | NAME", help="what the job runs as")
    parser.add_argument("--store", metavar="URL", help="s3://BUCKET[/PREFIX]; default: s3://sagemaker-REGION-ACCOUNT")
    code = parser.add_mutually_exclusive_group()
    code.add_argument("--source", metavar="DIR", help="envs.py and experiments.py of your own, and what they import")
    code.add_argument("--program", metavar="FILE", help="a program of your own, in place of the job built in")
    parser.add_argument("--dependency", metavar="DIR", action="append", default=[], help="a package for --program")
    parser.add_argument("--spot", action="store_true", help="spot instances")
    parser.add_argument("--max-wait", metavar="S", type=int, help="with --spot: run and wait; default: max_run + 1 h")
    parser.add_argument("--max-run", metavar="S", type=int, help="the longest that it runs: the same as max_run=S")
    parser.add_argument("--volume", metavar="GB", type=int, default=VOLUME_GB, help=f"disk; default: {VOLUME_GB}")
    parser.add_argument("--subnet", metavar="ID", action="append", default=[], help="of a VPC; with --security-group")
    parser.add_argument("--security-group", metavar="ID", action="append", default=[], help="of a VPC; with --subnet")
    parser.add_argument("--kms-key", metavar="KEY", help="encrypts the disk and the artifacts")
    parser.add_argument("--env", metavar="KEY=VALUE", action="append", default=[], help="the container's environment")
    parser.add_argument("--tag", metavar="KEY=VALUE", action="append", default=[], help="a tag of the job")
    parser.add_argument("--dry-run", action="store_true", help="print the request, and call nothing")
    parser.add_argument("--wait", action="store_true", help="follow the job, as scripts/watch does")
    return parser.parse_intermixed_args(list(arguments))


# ---- what is checked here ----


def check(options: argparse.Namespace) -> Dict[str, str]:
    """The job's hyperparameters, checked as the container checks them; raises UserError."""
    if options.job:
        sagemaker.check_job_name(options.job)
    for path in own_code(options):
        if not path.exists():
            raise UserError(f"{path}: there is no such file or directory")
    if options.dependency and not options.program:
        raise UserError(f"--dependency {options.dependency[0]}: goes with --program")
    if bool(options.subnet) != bool(options.security_group):
        raise UserError("--subnet and --security-group: a VPC takes both")
    if options.max_wait is not None and not options.spot:
        raise UserError(f"--max-wait {options.max_wait}: goes with --spot")
    if options.volume < 1:
        raise UserError(f"--volume {options.volume}: at least 1 GB")
    raw = hyperparameters_of(options)
    longest = max_run(raw)
    if options.max_wait is not None and options.max_wait < longest:
        raise UserError(f"--max-wait {options.max_wait}: less than max_run, {longest} s; it counts the running too")
    return raw


def hyperparameters_of(options: argparse.Namespace) -> Dict[str, str]:
    """Those of the job, by full name; raises UserError."""
    if options.program:
        return program_hyperparameters(options)
    return training(options) if options.command == "train" else evaluation(options)


def evaluation(options: argparse.Namespace) -> Dict[str, str]:
    """An evaluation's, which has a model in place of an experiment: that becomes ``options.model``."""
    models = [word for word in [*options.words, options.model] if word and "=" not in word]
    if len(models) != 1:
        raise UserError(f"{' and '.join(models) or 'evaluate'}: takes one model, a job or s3://…/model.tar.gz")
    options.model = models[0]
    settings = [word for word in options.words if "=" in word]
    settings += [f"max_run={options.max_run}"] if options.max_run is not None else []
    asked = hyperparameters.assignments(settings, str)
    hyperparameters.parse_evaluation(asked)
    return {"command": "evaluate", **asked}


def training(options: argparse.Namespace) -> Dict[str, str]:
    """A training job's."""
    if options.model:
        raise UserError(f"--model {options.model}: goes with evaluate")
    words = ["command=train", *options.words]
    words += [f"max_run={options.max_run}"] if options.max_run is not None else []
    bare = [word for word in options.words if "=" not in word]
    if len(bare) > 1:
        raise UserError(f"{' and '.join(bare)}: a job has one experiment, and settings are KEY=VALUE")
    asked = hyperparameters.assignments([f"experiment={word}" if word in bare else word for word in words])
    known = source.known_experiments(Path(options.source).resolve()) if options.source else EXPERIMENTS
    if known is None:  # they import what is not installed here; the job will tell
        return {"experiment": hyperparameters.Settings.experiment, **asked}
    settings = hyperparameters.parse(asked, machine=None, experiments=known).settings
    return {**asked, "experiment": settings.experiment}


def program_hyperparameters(options: argparse.Namespace) -> Dict[str, str]:
    """A program's, which are its own business."""
    if options.command != "train" or options.model:
        raise UserError("--program: goes with train, which takes no model")
    loose = [word for word in options.words if "=" not in word]
    if loose:
        raise UserError(f"{loose[0]}: expected KEY=VALUE, as --program takes no experiment")
    given = dict(word.partition("=")[::2] for word in options.words)
    if options.max_run is not None:
        given["max_run"] = str(options.max_run)
    return {**given, "sagemaker_program": Path(options.program).name}


def max_run(raw: Mapping[str, str]) -> int:
    """The longest that the job may run, in seconds; raises UserError."""
    text = raw.get("max_run", str(MAX_RUN_S))
    try:
        seconds = int(float(text))
    except ValueError:
        seconds = 0
    if seconds < 1:
        raise UserError(f"max_run = {text}: seconds, at least 1")
    return seconds


def own_code(options: argparse.Namespace) -> List[Path]:
    """The files and directories of the user's own that go with the job."""
    return [Path(path) for path in (options.source, options.program, *options.dependency) if path]


def pairs(words: Sequence[str], flag: str) -> Dict[str, str]:
    """{key: value} of words KEY=VALUE; raises UserError."""
    wrong = [word for word in words if not re.fullmatch("[^=]+=.*", word)]
    if wrong:
        raise UserError(f"{flag} {wrong[0]}: expected KEY=VALUE")
    return dict(word.partition("=")[::2] for word in words)


def check_instance_type(name: str, known: Sequence[str]) -> None:
    """Refuses what is no instance type; one of a family that boto3 does not know may be newer than boto3.

    Raises:
        UserError: with the sizes that the family has.
    """
    if not re.fullmatch(r"ml\.[a-z0-9-]+\.[a-z0-9-]+", name):
        raise UserError(f"--instance-type {name}: expected one such as {INSTANCE_TYPE}")
    family = name.rpartition(".")[0] + "."
    sizes = [other[len(family) :] for other in known if other.startswith(family)]
    if sizes and name not in known:
        raise UserError(f"--instance-type {name}: unknown; {family[:-1]} has {', '.join(sizes)}")


def known_instance_types() -> List[str]:
    """Those for training that this boto3 knows; a client would look for credentials, over the network too."""
    import botocore.session

    model = botocore.session.get_session().get_service_model("sagemaker")
    return list(model.shape_for("TrainingInstanceType").enum)


# ---- the order ----


def place(options: argparse.Namespace, raw: Mapping[str, str], session: Any) -> Order:
    """The order that the options make, with what they leave open looked up; a dry run looks up nothing.

    Raises:
        UserError: something is missing.
    """
    region = aws.region_of(session)
    image = options.image or last_pushed(
        flavor_of(options.instance_type), region, pushing.remembered(pushing.REMEMBERED)
    )
    role = role_arn(options, session)
    store = options.store or f"s3://{roles.default_bucket(region, role.split(':')[4])}"
    matched = STORE.fullmatch(store)
    if not matched:
        raise UserError(f"--store {store}: must be s3://BUCKET[/PREFIX]")
    store = store.rstrip("/")
    name = options.job or default_name(subject(options, raw))
    longest = max_run(raw)
    environment, tags = pairs(options.env, "--env"), pairs(options.tag, "--tag")
    order = Order(
        name=name,
        image=image,
        role=role,
        store=store,
        hyperparameters={**raw, **sagemakers(name, store, region, bool(own_code(options)))},
        instance_type=options.instance_type,
        volume_gb=options.volume,
        max_run=longest,
        max_wait=(options.max_wait or longest + 3600) if options.spot else None,
        model=model_url(options.model, store) if options.model else None,
        subnets=options.subnet,
        security_groups=options.security_group,
        kms_key=options.kms_key,
        environment=environment,
        tags={"project": NAME, **tags},
    )
    hyperparameters.check_limits(order.hyperparameters)
    return order


def flavor_of(instance_type: str) -> str:
    """Which image the instance runs."""
    return "gpu" if re.match(r"ml\.[pg][0-9]", instance_type) else "cpu"


def last_pushed(flavor: str, region: str, pushes: Sequence[Mapping[str, str]]) -> str:
    """The image of this kind in the region's ECR, by its digest; raises UserError where none was pushed."""
    ours = [pushed for pushed in pushes if pushed["flavor"] == flavor and ".dkr.ecr." in pushed["registry"]]
    here = [pushed for pushed in ours if f".dkr.ecr.{region}." in pushed["registry"]]
    if here:
        return here[-1]["uri"]
    elsewhere = f", though one is in {ours[-1]['registry'].split('.')[3]}" if ours else ""
    raise UserError(f"no {flavor} image was pushed to {region}{elsewhere}: scripts/push {flavor}, or --image URI")


def role_arn(options: argparse.Namespace, session: Any) -> str:
    """The role that the job runs as; raises UserError where none is given and none can be found."""
    if options.role and options.role.startswith("arn:"):
        if not re.fullmatch(r"arn:[a-z0-9-]+:iam::[0-9]{12}:role/.+", options.role):
            raise UserError(f"--role {options.role}: expected arn:aws:iam::ACCOUNT:role/NAME")
        return str(options.role)
    if options.dry_run:
        raise UserError("--dry-run asks AWS nothing, so the role has to be given in full: --role arn:…:role/NAME")
    iam = aws.client(session, "iam")
    name = options.role or notebook_role(session) or NAME
    with aws.told(f"role {name}"):
        arn = roles.find(iam, name)
    if arn is None:
        raise UserError(f"role {name}: there is no such role; scripts/role --create makes one, --role names another")
    return arn


def notebook_role(session: Any, notebook: Path = NOTEBOOK) -> Optional[str]:
    """The name of the execution role of the notebook that this runs in; None elsewhere."""
    if not notebook.exists():
        return None
    with aws.told("asking AWS for the notebook's role"):
        arn = aws.client(session, "sts").get_caller_identity()["Arn"]
    found = re.search(":assumed-role/([^/]+)/", arn)
    return found.group(1) if found else None


def subject(options: argparse.Namespace, raw: Mapping[str, str]) -> str:
    """What the job is about, to be named after."""
    if options.program:
        return Path(options.program).stem
    if options.command == "train":
        return raw["experiment"]
    trained = re.fullmatch("s3://.*/([^/]+)/output/model.tar.gz", options.model)
    return f"{trained[1] if trained else Path(options.model).name.partition('.')[0]}"[:30] + "-evaluation"


def default_name(what: str) -> str:
    """A name that no other job has, unless two begin in one second."""
    prefix = re.sub("[^a-zA-Z0-9]+", "-", what)[:43].strip("-") or "job"
    return f"{prefix}-{datetime.now(timezone.utc):%Y-%m-%d-%H-%M-%S}"


def sagemakers(name: str, store: str, region: str, with_code: bool) -> Dict[str, str]:
    """SageMaker's own hyperparameters: where the live files go, and where the user's code is."""
    code = {"sagemaker_submit_directory": f"{store}/{source_key(name)}"} if with_code else {}
    return {"sagemaker_s3_output": store, "sagemaker_region": region, **code}


def source_key(name: str) -> str:
    """Where a job's code lies below its store."""
    return f"{name}/source/sourcedir.tar.gz"


def model_url(model: str, store: str) -> str:
    """Where a model lies that is given as a job's name or as its URL."""
    if model.startswith("s3://"):
        return model
    sagemaker.check_job_name(model)
    return f"{store}/{model}/output/model.tar.gz"


def request(order: Order) -> Dict[str, Any]:
    """CreateTrainingJob."""
    optional: Dict[str, Any] = {}
    if order.max_wait:
        optional["EnableManagedSpotTraining"] = True
    if order.model:
        where = {"S3DataType": "S3Prefix", "S3Uri": order.model, "S3DataDistributionType": "FullyReplicated"}
        optional["InputDataConfig"] = [{"ChannelName": "model", "DataSource": {"S3DataSource": where}}]
    if order.subnets:
        optional["VpcConfig"] = {"Subnets": [*order.subnets], "SecurityGroupIds": [*order.security_groups]}
    if order.environment:
        optional["Environment"] = dict(order.environment)
    return {
        "TrainingJobName": order.name,
        "AlgorithmSpecification": {
            "TrainingImage": order.image,
            "TrainingInputMode": "File",
            "MetricDefinitions": metric_definitions.definitions(),
            "EnableSageMakerMetricsTimeSeries": True,
        },
        "RoleArn": order.role,
        "HyperParameters": dict(order.hyperparameters),
        "OutputDataConfig": {"S3OutputPath": order.store, **({"KmsKeyId": order.kms_key} if order.kms_key else {})},
        "CheckpointConfig": {"S3Uri": f"{order.store}/{order.name}/checkpoints"},
        "ResourceConfig": {
            "InstanceType": order.instance_type,
            "InstanceCount": 1,
            "VolumeSizeInGB": order.volume_gb,
            **({"VolumeKmsKeyId": order.kms_key} if order.kms_key else {}),
        },
        "StoppingCondition": {
            "MaxRuntimeInSeconds": order.max_run,
            **({"MaxWaitTimeInSeconds": order.max_wait} if order.max_wait else {}),
        },
        "Tags": [{"Key": key, "Value": value} for key, value in order.tags.items()],
        **optional,
    }


# ---- sending it ----


def send(order: Order, code: Sequence[Path], session: Any) -> None:
    """Makes the bucket where it is missing, uploads the user's code, and creates the job.

    Raises:
        UserError, JobError: with what was made before.
    """
    service, s3, made = aws.client(session, "sagemaker"), aws.client(session, "s3"), []
    refuse_used_name(service, order.name)
    check_image(order.image, session)
    bucket, prefix = split(order.store)
    made += have_bucket(s3, bucket, aws.region_of(session))
    if code:
        made.append(upload(s3, bucket, f"{prefix}{source_key(order.name)}", code, made))
    with aws.told(f"job {order.name}", made):
        service.create_training_job(**request(order))


def refuse_used_name(service: Any, name: str) -> None:
    """Raises UserError where a job has the name already, whose files another would overwrite."""
    from botocore.exceptions import ClientError

    with aws.told(f"job {name}"):
        try:
            status = service.describe_training_job(TrainingJobName=name)["TrainingJobStatus"]
        except ClientError as error:
            if aws.is_missing(error):
                return
            raise
    raise UserError(f"--job {name}: there is a job of this name already, which is {status}")


def check_image(image: str, session: Any) -> None:
    """Raises UserError where the region's ECR does not have the image: a job would fail minutes later.

    Who may not ask is not stopped: the job's role is another.
    """
    found = ECR_IMAGE.fullmatch(image)
    if not found or found["region"] != session.region_name:
        return
    identity = {"imageDigest": found["digest"]} if found["digest"] else {"imageTag": found["tag"] or "latest"}
    ecr = aws.client(session, "ecr")
    try:
        with aws.told(f"image {image}"):
            ecr.describe_images(registryId=found["account"], repositoryName=found["repository"], imageIds=[identity])
    except UserError as error:
        if aws.code_of(error.__cause__) not in NOT_IN_ECR:
            return
        raise UserError(f"{error}: scripts/push puts it there, --image names another") from None


def split(store: str) -> Tuple[str, str]:
    """The bucket of s3://BUCKET[/PREFIX], and what its keys begin with."""
    bucket, _, prefix = store[len("s3://") :].partition("/")
    return bucket, f"{prefix}/" if prefix else ""


def have_bucket(s3: Any, bucket: str, region: str) -> List[str]:
    """Makes the bucket where it is missing, closed to the public; returns what was made.

    Raises:
        UserError: it is another's, or in another region.
    """
    there = where_is(s3, bucket)
    check_place(bucket, there, region)
    if there:
        return []
    place = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    with aws.told(f"bucket {bucket}"):
        s3.create_bucket(Bucket=bucket, **place)
    aws.note(f"made the bucket {bucket}")
    closed = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
    with aws.told(f"bucket {bucket}", [f"bucket {bucket}"]):
        s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=dict.fromkeys(closed, True))
    return [f"bucket {bucket}"]


def where_is(s3: Any, bucket: str) -> Optional[str]:
    """The region of a bucket; None where there is no such bucket. Raises UserError, JobError."""
    from botocore.exceptions import ClientError

    with aws.told(f"bucket {bucket}"):
        try:
            return s3.head_bucket(Bucket=bucket).get("BucketRegion") or bucket_region(s3, bucket)
        except ClientError as error:
            if aws.code_of(error) in ("404", "NoSuchBucket"):
                return None
            raise


def check_place(bucket: str, place: Optional[str], region: str) -> None:
    """Raises UserError where the bucket is in another region than the job."""
    if place not in (None, region):
        raise UserError(f"bucket {bucket}: it is in {place}, and the job in {region}; --store names another")


def bucket_region(s3: Any, bucket: str) -> str:
    """Where a bucket is; us-east-1 has no name in S3."""
    return str(s3.get_bucket_location(Bucket=bucket)["LocationConstraint"] or "us-east-1")


def upload(s3: Any, bucket: str, key: str, code: Sequence[Path], made: List[str]) -> str:
    """Packs the user's code and puts it where the job looks for it; returns its URL."""
    whole = source.contents(code[0]) if code[0].is_dir() else code
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "sourcedir.tar.gz"
        source.pack(whole, archive)
        with aws.told(f"s3://{bucket}/{key}", made):
            s3.upload_file(str(archive), bucket, key)
    return f"s3://{bucket}/{key}"
