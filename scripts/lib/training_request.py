"""A training job as one value, the request that creates it, and its sending."""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence

from rl_app.errors import UserError
from rl_app.job import metric_definitions, sagemaker, user_code
from rl_app.job.settings import Settings
from rl_app.masking import masked_text
from rl_app.storage import layout
from scripts.lib import aws, buckets, pushed_images, training_jobs
from scripts.lib.instances import InstanceGroup

INSTANCE_TYPE = "ml.c5.xlarge"
VOLUME_GB = 30
MAX_RUN_S = Settings.max_run


@dataclass(frozen=True)
class TrainingRequest:
    """A training job, with all that its request says. ``store`` has no slash at its end."""

    name: str
    image: str
    role: str
    store: str
    hyperparameters: Mapping[str, str]
    instance_type: str = INSTANCE_TYPE
    instance_count: int = 1
    instance_groups: Sequence[InstanceGroup] = ()  # in place of the two above
    volume_gb: int = VOLUME_GB
    max_run: int = MAX_RUN_S
    max_wait: Optional[int] = None  # seconds, of a spot job
    model: Optional[str] = None
    channel: str = "model"  # where the model goes
    channels: Mapping[str, str] = field(default_factory=dict)  # s3:// of the user's own data
    subnets: Sequence[str] = ()
    security_groups: Sequence[str] = ()
    kms_key: Optional[str] = None
    environment: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    policies: Sequence[str] = ()  # of a job that trains several


def shown(given: Mapping[str, Any]) -> Dict[str, Any]:
    """Return the request for people to read, with a mask for what may be secret of the hyperparameters."""
    parameters = given["HyperParameters"]
    return {**given, "HyperParameters": {key: masked_text(key, parameters[key]) for key in parameters}}


def request(job: TrainingRequest) -> Dict[str, Any]:
    """Write CreateTrainingJob."""
    optional: Dict[str, Any] = {}
    if job.max_wait:
        optional["EnableManagedSpotTraining"] = True
    inputs = {**({job.channel: job.model} if job.model else {}), **job.channels}
    if inputs:
        optional["InputDataConfig"] = [_channel(name, uri) for name, uri in inputs.items()]
    if job.subnets:
        optional["VpcConfig"] = {"Subnets": [*job.subnets], "SecurityGroupIds": [*job.security_groups]}
    if job.environment:
        optional["Environment"] = dict(job.environment)
    return {
        "TrainingJobName": job.name,
        "AlgorithmSpecification": {
            "TrainingImage": job.image,
            "TrainingInputMode": "File",
            "MetricDefinitions": metric_definitions.definitions(job.policies),
            "EnableSageMakerMetricsTimeSeries": True,
        },
        "RoleArn": job.role,
        "HyperParameters": dict(job.hyperparameters),
        "OutputDataConfig": {"S3OutputPath": job.store, **({"KmsKeyId": job.kms_key} if job.kms_key else {})},
        "CheckpointConfig": {"S3Uri": f"{job.store}/{job.name}/{layout.CHECKPOINTS}"},
        "ResourceConfig": {
            **_instances(job),
            "VolumeSizeInGB": job.volume_gb,
            **({"VolumeKmsKeyId": job.kms_key} if job.kms_key else {}),
        },
        "StoppingCondition": {
            "MaxRuntimeInSeconds": job.max_run,
            **({"MaxWaitTimeInSeconds": job.max_wait} if job.max_wait else {}),
        },
        "Tags": aws.tags(job.tags),
        **optional,
    }


def _channel(name: str, uri: str) -> Dict[str, Any]:
    where = {"S3DataType": "S3Prefix", "S3Uri": uri, "S3DataDistributionType": "FullyReplicated"}
    return {"ChannelName": name, "DataSource": {"S3DataSource": where}}


def _instances(job: TrainingRequest) -> Dict[str, Any]:
    if job.instance_groups:
        return {"InstanceGroups": [group.request() for group in job.instance_groups]}
    return {"InstanceType": job.instance_type, "InstanceCount": job.instance_count}


# ---- what SageMaker wants to be told ----


def default_name(what: str) -> str:
    """Make a name that no other job has, unless two begin in one second."""
    prefix = re.sub("[^a-zA-Z0-9]+", "-", what)[:43].strip("-") or "job"
    return f"{prefix}-{datetime.now(timezone.utc):%Y-%m-%d-%H-%M-%S}"


def reserved_hyperparameters(name: str, store: str, region: str, with_code: bool) -> Dict[str, str]:
    """Say in SageMaker's own hyperparameters where the live files go, and where the user's code is."""
    code = {"sagemaker_submit_directory": f"{store}/{source_key(name)}"} if with_code else {}
    return {"sagemaker_s3_output": store, "sagemaker_region": region, **code}


def source_key(name: str) -> str:
    """Return where a job's code lies below its store."""
    return f"{name}/{layout.SOURCE}"


def model_url(model: str, store: str) -> str:
    """Return where a model lies that is given as a job's name or as its URL."""
    if model.startswith("s3://"):
        return model
    if "/" in model or model.endswith(".tar.gz"):
        raise UserError(f"{model}: SageMaker reads models at s3://…, where `aws s3 cp` brings it")
    sagemaker.check_job_name(model)
    return f"{store}/{model}/{layout.MODEL}"


# ---- sending it ----


def send(job: TrainingRequest, code: Sequence[Path], session: Any) -> None:
    """Make the bucket where it is missing, upload the user's code, and create the job.

    Raises:
        UserError, JobError: with what was made before.
    """
    service, s3, made = aws.client(session, "sagemaker"), aws.client(session, "s3"), []
    refuse_used_name(service, job.name)
    pushed_images.check(job.image, session)
    bucket, prefix = buckets.split(job.store)
    made += buckets.ensure(s3, bucket, aws.region_of(session))
    if code:
        made.append(upload(s3, bucket, f"{prefix}{source_key(job.name)}", code, made))
    with aws.translate_errors(f"job {job.name}", made):
        service.create_training_job(**request(job))


def refuse_used_name(service: Any, name: str) -> None:
    """Raise UserError where a job has the name already, whose files another would overwrite."""
    try:
        status = training_jobs.describe(name, service)["TrainingJobStatus"]
    except UserError as error:
        if aws.is_missing(error.__cause__):
            return
        raise
    raise UserError(f"--job {name}: there is a job of this name already, which is {status}")


def upload(s3: Any, bucket: str, key: str, code: Sequence[Path], made: List[str]) -> str:
    """Pack the user's code and put it where the job looks for it; return its URL."""
    whole = user_code.contents(code[0]) if code[0].is_dir() else code
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / layout.SOURCE_ARCHIVE
        user_code.pack(whole, archive)
        with aws.translate_errors(f"s3://{bucket}/{key}", made):
            s3.upload_file(str(archive), bucket, key)
    return f"s3://{bucket}/{key}"
