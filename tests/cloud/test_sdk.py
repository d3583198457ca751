"""The real SageMaker Python SDK drives the real image in its local mode, with MinIO for S3; and asks SageMaker."""

from __future__ import annotations

import io
import ipaddress
import json
import os
import tarfile
import uuid
from pathlib import Path
from typing import Any, Dict, Iterator, NamedTuple

import boto3
import pytest
from botocore.config import Config

from rl_app.metric_definitions import found
from scripts import launching
from scripts.environments import ROOT
from scripts.launching import Order
from tests.cloud.conftest import answers, docker, free_port, run
from tests.cloud.stub import arn
from tests.image.conftest import image  # noqa: F401
from tests.stack.conftest import S3_IMAGE
from tests.waiting import until

BUCKET = "rl-local"
JOB = "from-the-sdk"


class Minio(NamedTuple):
    endpoint: str
    environ: Dict[str, str]


@pytest.fixture(scope="module")
def reachable_minio() -> Iterator[Minio]:
    """MinIO on the address of Docker's bridge: on 127.0.0.1 the job's container would not reach it."""
    subnet = docker("network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Subnet}}")
    address, name = f"{ipaddress.ip_network(subnet)[1]}:{free_port()}", f"test-minio-{uuid.uuid4().hex[:8]}"
    environ = {
        "AWS_ACCESS_KEY_ID": "access-of-the-tests",
        "AWS_SECRET_ACCESS_KEY": "secret-of-the-tests",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL_S3": f"http://{address}",
    }
    keys = ["-e", f"MINIO_ROOT_USER={environ['AWS_ACCESS_KEY_ID']}"]
    keys += ["-e", f"MINIO_ROOT_PASSWORD={environ['AWS_SECRET_ACCESS_KEY']}"]
    docker("run", "-d", "--name", name, "-p", f"{address}:9000", *keys, S3_IMAGE, "server", "/data")
    try:
        until(lambda: answers(f"http://{address}/minio/health/ready"), 60)
        yield Minio(f"http://{address}", environ)
    finally:
        docker("rm", "-f", "-v", name)


def settings_of_the_sdk(folder: Path) -> Dict[str, str]:
    """An environment in which the SDK does not phone home."""
    settings = folder / "config.yaml"
    settings.write_text("SchemaVersion: '1.0'\nSageMaker: {PythonSDK: {Modules: {TelemetryOptOut: true}}}\n")
    return {"SAGEMAKER_USER_CONFIG_OVERRIDE": str(settings)}


@pytest.fixture(scope="module")
def fitted(sdk_python: str, reachable_minio: Minio, image: str, tmp_path_factory: Any) -> Iterator[str]:  # noqa: F811
    """What the SDK printed while it trained two iterations, served the model and asked it."""
    environ = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
    environ.update(reachable_minio.environ, **settings_of_the_sdk(tmp_path_factory.mktemp("sdk")))
    script = str(Path(__file__).with_name("sdk_local.py"))
    try:
        yield run([sdk_python, script, image, reachable_minio.endpoint, BUCKET, JOB, str(free_port())], environ)
    finally:  # the SDK leaves its containers
        filters = ("ancestor=" + image, "network=sagemaker-local", "status=exited")
        words = [word for each in filters for word in ("--filter", each)]
        left = docker("ps", "--all", "--quiet", *words).split()
        if left:
            docker("rm", *left)


@pytest.fixture
def s3(fitted: str, reachable_minio: Minio) -> Any:
    session = boto3.session.Session(
        reachable_minio.environ["AWS_ACCESS_KEY_ID"], reachable_minio.environ["AWS_SECRET_ACCESS_KEY"]
    )
    settings = Config(s3={"addressing_style": "path"})
    return session.client("s3", "us-east-1", endpoint_url=reachable_minio.endpoint, config=settings)


def members(s3: Any, key: str) -> Any:
    body = s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(body)) as archive:
        return {name[2:] if name.startswith("./") else name for name in archive.getnames()}


def last_line(printed: str) -> Any:
    return json.loads(printed.splitlines()[-1])


def test_the_artifacts_are_where_the_sdk_says(fitted: str, s3: Any) -> None:
    said = last_line(fitted)
    assert said["model"] == f"s3://{BUCKET}/{JOB}/output/model.tar.gz"
    model = members(s3, f"{JOB}/output/model.tar.gz")
    assert {"1/saved_model.pb", "policy.onnx", "policy.json", "checkpoint", "params.json"} <= model
    output = members(s3, f"{JOB}/output/output.tar.gz")
    assert any(name.endswith("metrics.jsonl") for name in output), output


def test_the_metrics_are_found_in_what_the_job_prints(fitted: str) -> None:
    rows = [row for row in map(found, fitted.splitlines()) if "training_iteration" in row]
    assert [row["training_iteration"] for row in rows] == [1, 2]
    assert all(row["episode_reward_mean"] > 5 and row["timesteps_total"] > 100 for row in rows)


def test_the_live_files_are_in_the_store_too(s3: Any) -> None:
    listed = s3.list_objects_v2(Bucket=BUCKET, Prefix=f"{JOB}/output/intermediate/")["Contents"]
    names = {entry["Key"].rpartition("intermediate/")[2] for entry in listed}
    assert {"metrics.jsonl", "train.log"} <= names


def test_the_endpoint_answers_in_columns_and_in_rows_and_is_gone_after(fitted: str) -> None:
    said = last_line(fitted)
    assert said["endpoint"] == "InService"
    actions = said["columns"]["outputs"]["actions_0"]
    assert len(actions) == 2 and set(actions) <= {0, 1}
    (row,) = said["rows"]["predictions"]
    assert row["actions_0"] == actions[1]
    assert said["after"] is None


def test_the_same_call_in_the_cloud_asks_for_the_job_that_launch_asks_for(
    sdk_python: str,
    cloud: Any,
    tmp_path: Path,
) -> None:
    role = "arn:aws:iam::123456789012:role/rl"
    given = {"experiment": "cartpole", "rl.training.stop.training_iteration": "2", "sagemaker_s3_output": "s3://bucket"}
    _, stub, _ = cloud()
    stub.answers["CreateTrainingJob"] = lambda _: {"TrainingJobArn": arn("training-job")}
    script = str(Path(__file__).with_name("sdk_cloud.py"))
    run(
        [sdk_python, script, "registry/image@sha256:1", role, "bucket", "first"],
        {**os.environ, **settings_of_the_sdk(tmp_path), "PYTHONPATH": str(ROOT)},
    )
    (asked,) = stub.calls("CreateTrainingJob")
    order = Order(
        "first",
        "registry/image@sha256:1",
        role,
        "s3://bucket",
        given,
        max_run=3600,
        tags={"project": "sagemaker-rllib"},
    )
    ours = launching.request(order)
    for key in ("TrainingJobName", "RoleArn", "OutputDataConfig", "ResourceConfig", "StoppingCondition", "Tags"):
        assert asked[key] == ours[key], key
    for key in ("TrainingImage", "TrainingInputMode", "MetricDefinitions"):
        assert asked["AlgorithmSpecification"][key] == ours["AlgorithmSpecification"][key], key
    sent = {key: value.strip('"') for key, value in asked["HyperParameters"].items()}
    assert {key: sent[key] for key in given} == given
