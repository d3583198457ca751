"""The real SageMaker Python SDK drives the real image in its local mode, with MinIO for S3; and asks SageMaker."""

from __future__ import annotations

import io
import ipaddress
import json
import os
import re
import sys
import tarfile
import uuid
from pathlib import Path
from typing import Any, Dict, Iterator, NamedTuple

import boto3
import pytest
from botocore.config import Config

from rl_app.job import sagemaker
from rl_app.job.metric_definitions import found
from scripts.lib import training_request
from scripts.lib.environments import ROOT
from scripts.lib.training_request import TrainingRequest
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
    keys += ["-e", "MINIO_KMS_SECRET_KEY=" + kms_key()]
    docker("run", "-d", "--name", name, "-p", f"{address}:9000", *keys, S3_IMAGE, "server", "/data")
    try:
        until(lambda: answers(f"http://{address}/minio/health/ready"), 60)
        until(lambda: answers(f"http://{address}/minio/health/ready"), 60)
        minio = Minio(f"http://{address}", environ)
        client(minio).create_bucket(Bucket=BUCKET)
        yield minio
    finally:
        docker("rm", "-f", "-v", name)


def kms_key() -> str:
    """The one of docker-compose.yml: the SDK uploads code for a key of KMS."""
    found = re.search(r"MINIO_KMS_SECRET_KEY: (\S+)", (ROOT / "docker-compose.yml").read_text())
    assert found
    return found[1]


def settings_of_the_sdk(folder: Path) -> Dict[str, str]:
    """An environment in which the SDK does not phone home."""
    settings = folder / "config.yaml"
    settings.write_text("SchemaVersion: '1.0'\nSageMaker: {PythonSDK: {Modules: {TelemetryOptOut: true}}}\n")
    return {"SAGEMAKER_USER_CONFIG_OVERRIDE": str(settings)}


SHORT = {"rl.training.stop.training_iteration": 1, "rl.training.config.min_iter_time_s": 0.0}
CORRIDOR, PROGRAM = ROOT / "examples" / "corridor", ROOT / "examples" / "program"
OF_2020 = ROOT / "tests" / "image" / "old_job"
CARTPOLE = [[0, 0, -0.2, -1], [0, 0, 0.2, 1]]


class Sdk(NamedTuple):
    """The SDK on this machine, with MinIO for S3."""

    python: str
    minio: Minio
    image: str
    settings: Dict[str, str]

    def go(self, job: str, **way: Any) -> str:
        """What the SDK printed on one way from a training to its end."""
        environ = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
        environ.update(self.minio.environ, **self.settings)
        script = str(Path(__file__).with_name("sdk_local.py"))
        words = [self.image, self.minio.endpoint, BUCKET, job, str(free_port()), json.dumps(way)]
        try:
            return run([self.python, script, *words], environ)
        finally:
            remove_containers(self.image)


def remove_containers(image: str) -> None:  # noqa: F811
    """Removes what the SDK leaves."""
    filters = ("ancestor=" + image, "network=sagemaker-local", "status=exited")
    words = [word for each in filters for word in ("--filter", each)]
    left = docker("ps", "--all", "--quiet", *words).split()
    if left:
        docker("rm", *left)


@pytest.fixture(scope="module")
def sdk(sdk_python: str, reachable_minio: Minio, image: str, tmp_path_factory: Any) -> Sdk:  # noqa: F811
    return Sdk(sdk_python, reachable_minio, image, settings_of_the_sdk(tmp_path_factory.mktemp("sdk")))


@pytest.fixture(scope="module")
def fitted(sdk: Sdk, tmp_path_factory: Any) -> str:
    """What the SDK printed while it trained two iterations, served the model, asked it, and transformed a batch."""
    rows = tmp_path_factory.mktemp("batch") / "rows.csv"
    rows.write_text("".join(f"{','.join(map(str, row))}\n" for row in CARTPOLE * 2))
    given = {
        **SHORT,
        "experiment": "cartpole",
        "rl.training.stop.training_iteration": 2,
        "rl.training.config.use_pytorch": False,
        "sagemaker_s3_output": f"s3://{BUCKET}",
    }
    return sdk.go(JOB, estimator="Estimator", given={"hyperparameters": given}, serve=CARTPOLE, transform=str(rows))


@pytest.fixture
def s3(reachable_minio: Minio) -> Any:
    return client(reachable_minio)


def client(minio: Minio) -> Any:
    session = boto3.session.Session(minio.environ["AWS_ACCESS_KEY_ID"], minio.environ["AWS_SECRET_ACCESS_KEY"])
    settings = Config(s3={"addressing_style": "path"})
    return session.client("s3", "us-east-1", endpoint_url=minio.endpoint, config=settings)


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


def live(s3: Any, job: str) -> Any:
    """The names of the files that a job has sent while it ran."""
    listed = s3.list_objects_v2(Bucket=BUCKET, Prefix=f"{job}/output/intermediate/").get("Contents", [])
    return {entry["Key"].rpartition("intermediate/")[2] for entry in listed}


def test_the_live_files_are_in_the_store_too(fitted: str, s3: Any) -> None:
    assert {"metrics.jsonl", "train.log"} <= live(s3, JOB)


def test_the_endpoint_answers_in_columns_and_in_rows_and_is_gone_after(fitted: str) -> None:
    said = last_line(fitted)
    assert said["endpoint"] == "InService"
    actions = said["columns"]["outputs"]["actions_0"]
    assert len(actions) == 2 and set(actions) <= {0, 1}
    assert [row["actions_0"] for row in said["rows"]["predictions"]] == actions
    assert said["after"] is None


def test_a_batch_transform_has_a_line_for_each_row_and_no_blank_ones(fitted: str) -> None:
    said = last_line(fitted)
    assert said["transformed"] == "".join(f"{action}\n" for action in said["columns"]["outputs"]["actions_0"] * 2)


OWN = {
    "source_dir": str(CORRIDOR),
    "entry_point": "envs.py",
    "hyperparameters": {**SHORT, "experiment": "corridor", "sagemaker_s3_output": f"s3://{BUCKET}"},
}


@pytest.fixture(scope="module")
def on_two(sdk: Sdk) -> str:
    """What the SDK printed while it trained on two instances, with code in S3, and served the model."""
    return sdk.go("on-two", estimator="RLEstimator", given=OWN, hosts=2, serve=[[0.5], [0.1]])


def test_two_instances_train_one_trial_with_an_environment_of_ones_own(on_two: str, s3: Any) -> None:
    assert "CPUs of 2 hosts)" in on_two and re.search(r"algo-2-\w+: \d+ CPUs and 0 GPUs for algo-1-\w+", on_two)
    output = members(s3, "on-two/output/output.tar.gz")
    logs = sorted(name for name in output if name.endswith("train.log") and name.startswith("data/"))
    assert len(logs) == 2 and re.fullmatch(r"data/algo-2-\w+/train.log", logs[0]), output


def test_a_program_of_2020_makes_its_own_cluster_of_two_instances(sdk: Sdk, s3: Any) -> None:
    given = {
        "source_dir": str(OF_2020),
        "entry_point": "train.py",
        "hyperparameters": {"rl.training.stop.training_iteration": 1},
    }
    printed = sdk.go("old-on-two", estimator="RLEstimator", given=given, hosts=2)
    assert "nodes: 2" in printed and re.search(r"joined as algo-2-\w+", printed), printed
    theirs = {"1/saved_model.pb", "checkpoint", "params.json"}
    assert {*theirs, "policy.json", "policy.onnx"} <= members(s3, "old-on-two/output/model.tar.gz")


def test_a_model_of_ones_own_environment_is_served(on_two: str) -> None:
    said = last_line(on_two)
    assert (said["endpoint"], len(said["rows"]["predictions"]), said["after"]) == ("InService", 2, None)


@pytest.mark.parametrize("job", ["on-two", "corridor-here"], ids=["code-in-s3", "code-here"])
def test_environments_of_ones_own_train(job: str, on_two: str, sdk: Sdk, s3: Any) -> None:
    here = {"estimator": "Estimator", "given": OWN, "local_code": True}
    printed = on_two if job == "on-two" else sdk.go(job, **here)
    assert "PPO on corridor" in printed
    assert {"policy.onnx", "policy.json"} <= members(s3, f"{job}/output/model.tar.gz")
    assert "metrics.jsonl" in live(s3, job)


@pytest.mark.parametrize(
    ("estimator", "local_code"), [("Estimator", False), ("RLEstimator", True)], ids=["code-in-s3", "code-here"]
)
def test_a_program_of_ones_own_runs(estimator: str, local_code: bool, sdk: Sdk, s3: Any) -> None:
    given = {
        "source_dir": str(PROGRAM),
        "entry_point": "random_search.py",
        "hyperparameters": {"tries": 3, "experiment": "none of ours"},
    }
    job = f"program-{estimator}-{local_code}"
    printed = sdk.go(job, estimator=estimator, given=given, local_code=local_code)
    assert "try 0: episode_reward_max: " in printed and "NO MODEL" not in printed
    assert "weights.json" in members(s3, f"{job}/output/model.tar.gz")


def test_a_program_finds_its_dependencies_and_is_told_that_it_left_no_model(sdk: Sdk, tmp_path: Path) -> None:
    (tmp_path / "helpers").mkdir()
    (tmp_path / "helpers" / "__init__.py").write_text("WORD = 'found'")
    (tmp_path / "mine.py").write_text("import helpers, rl_app.envs\nprint('helpers', helpers.WORD)")
    given = {"entry_point": str(tmp_path / "mine.py"), "dependencies": [str(tmp_path / "helpers")]}
    printed = sdk.go("dependencies", estimator="RLEstimator", given=given)
    assert "helpers found" in printed
    assert "NO MODEL: mine.py left /opt/ml/model empty" in printed


ROLE = "arn:aws:iam::123456789012:role/rl"


def asked_in_the_cloud(sdk_python: str, cloud: Any, folder: Path, **way: Any) -> Any:
    """What the SDK asks SageMaker for: the stand-in, and what asks S3 as it does."""
    _, stub, session = cloud([{}])
    stub.answers["CreateTrainingJob"] = lambda _: {"TrainingJobArn": arn("training-job")}
    script = str(Path(__file__).with_name("sdk_cloud.py"))
    run(
        [sdk_python, script, "registry/image@sha256:1", ROLE, "bucket", "first", json.dumps(way)],
        {**os.environ, **settings_of_the_sdk(folder), "PYTHONPATH": str(ROOT)},
    )
    return stub, session


def test_the_same_call_in_the_cloud_asks_for_the_job_that_launch_asks_for(
    sdk_python: str, cloud: Any, tmp_path: Path
) -> None:
    given = {"experiment": "cartpole", "rl.training.stop.training_iteration": "2", "sagemaker_s3_output": "s3://bucket"}
    way = {"estimator": "Estimator", "given": {"hyperparameters": given}, "deploy": True}
    stub, _ = asked_in_the_cloud(sdk_python, cloud, tmp_path, **way)
    (asked,) = stub.calls("CreateTrainingJob")
    job = TrainingRequest(
        "first",
        "registry/image@sha256:1",
        ROLE,
        "s3://bucket",
        given,
        max_run=3600,
        tags={"project": "sagemaker-rllib"},
    )
    ours = training_request.request(job)
    for key in ("TrainingJobName", "RoleArn", "OutputDataConfig", "ResourceConfig", "StoppingCondition", "Tags"):
        assert asked[key] == ours[key], key
    for key in ("TrainingImage", "TrainingInputMode", "MetricDefinitions"):
        assert asked["AlgorithmSpecification"][key] == ours["AlgorithmSpecification"][key], key
    sent = {key: sagemaker.decode(value) for key, value in asked["HyperParameters"].items()}
    assert {key: sent[key] for key in given} == given
    (model,) = stub.calls("CreateModel")
    assert model["PrimaryContainer"]["Image"] == "registry/image@sha256:1"
    assert model["PrimaryContainer"]["ModelDataUrl"] == "s3://bucket/first/output/model.tar.gz"
    assert [len(stub.calls(call)) for call in ("CreateEndpoint", "DeleteEndpoint", "DeleteModel")] == [1, 1, 1]


@pytest.mark.parametrize(("source", "estimator"), [("corridor", "Estimator"), ("program", "RLEstimator")])
def test_the_job_that_the_sdk_asks_sagemaker_for_runs_its_code(
    source: str, estimator: str, sdk_python: str, cloud: Any, tmp_path: Path
) -> None:
    entry_point, own = {
        "corridor": ("envs.py", {**SHORT, "experiment": "corridor"}),
        "program": ("random_search.py", {"tries": 2}),
    }[source]
    given = {
        "source_dir": str(ROOT / "examples" / source),
        "entry_point": entry_point,
        "hyperparameters": {**own, "sagemaker_s3_output": "s3://bucket"},
    }
    stub, session = asked_in_the_cloud(sdk_python, cloud, tmp_path, estimator=estimator, given=given)
    (asked,) = stub.calls("CreateTrainingJob")
    config = tmp_path / "ml" / "input" / "config"
    config.mkdir(parents=True)
    (config / "hyperparameters.json").write_text(json.dumps(asked["HyperParameters"]))
    (config / "resourceconfig.json").write_text(json.dumps({"current_host": "localhost", "hosts": ["localhost"]}))
    environ = {**os.environ, "SAGEMAKER_BASE_DIR": str(tmp_path / "ml"), "TRAINING_JOB_NAME": "first"}
    environ["S3_ENDPOINT_URL"] = environ["AWS_ENDPOINT_URL_S3"]
    printed = run([sys.executable, "-m", "rl_app", "train"], environ)
    assert "NO MODEL" not in printed and "not uploaded" not in printed, printed
    left = {path.name for path in (tmp_path / "ml" / "model").iterdir()}
    assert ("policy.onnx" if source == "corridor" else "weights.json") in left
    if source == "corridor":
        listed = session.client("s3").list_objects_v2(Bucket="bucket", Prefix="first/output/intermediate/")
        assert any(entry["Key"].endswith("metrics.jsonl") for entry in listed["Contents"])
