"""The requests that `scripts/launch`, `deploy`, `push` and `role` send, as values."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import List

import pytest

from rl_app.errors import UserError
from rl_app.job import hyperparameters, metric_definitions, sagemaker
from scripts.commands import launch, predict, push
from scripts.lib import endpoints, execution_role, instances, pushed_images, screen, training_request
from scripts.lib.endpoints import EndpointRequest
from scripts.lib.training_request import TrainingRequest

ROLE = "arn:aws-cn:iam::123456789012:role/rl"
LEAST = TrainingRequest("first", "registry/image@sha256:1", ROLE, "s3://bucket/jobs", {"experiment": "cartpole"})


def test_the_least_request() -> None:
    assert training_request.request(LEAST) == {
        "TrainingJobName": "first",
        "AlgorithmSpecification": {
            "TrainingImage": "registry/image@sha256:1",
            "TrainingInputMode": "File",
            "MetricDefinitions": metric_definitions.definitions(),
            "EnableSageMakerMetricsTimeSeries": True,
        },
        "RoleArn": ROLE,
        "HyperParameters": {"experiment": "cartpole"},
        "OutputDataConfig": {"S3OutputPath": "s3://bucket/jobs"},
        "CheckpointConfig": {"S3Uri": "s3://bucket/jobs/first/checkpoints"},
        "ResourceConfig": {"InstanceType": "ml.c5.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 30},
        "StoppingCondition": {"MaxRuntimeInSeconds": 86400},
        "Tags": [],
    }


def test_channels_of_data_are_in_the_request_beside_the_model() -> None:
    made = training_request.request(replace(LEAST, model="s3://bucket/m", channels={"data": "s3://other/episodes"}))
    places = {each["ChannelName"]: each["DataSource"]["S3DataSource"]["S3Uri"] for each in made["InputDataConfig"]}
    assert places == {"model": "s3://bucket/m", "data": "s3://other/episodes"}


def test_a_channel_of_this_machine_is_refused() -> None:
    with pytest.raises(UserError, match=r"--channel data=episodes: SageMaker reads s3://"):
        launch.check(launch.parse(["train", "--channel", "data=episodes"]))


def test_every_option_is_in_the_request() -> None:
    job = TrainingRequest(
        "second",
        "image",
        ROLE,
        "s3://bucket",
        {},
        instance_type="ml.g5.xlarge",
        instance_count=3,
        volume_gb=50,
        max_run=600,
        max_wait=1200,
        model="s3://bucket/first/output/model.tar.gz",
        subnets=["subnet-1"],
        security_groups=["sg-1"],
        kms_key="key",
        environment={"A": "b"},
        tags={"team": "rl"},
    )
    where = {
        "S3DataType": "S3Prefix",
        "S3Uri": "s3://bucket/first/output/model.tar.gz",
        "S3DataDistributionType": "FullyReplicated",
    }
    made = training_request.request(job)
    expected = {
        "OutputDataConfig": {"S3OutputPath": "s3://bucket", "KmsKeyId": "key"},
        "ResourceConfig": {
            "InstanceType": "ml.g5.xlarge",
            "InstanceCount": 3,
            "VolumeSizeInGB": 50,
            "VolumeKmsKeyId": "key",
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": 600, "MaxWaitTimeInSeconds": 1200},
        "EnableManagedSpotTraining": True,
        "InputDataConfig": [{"ChannelName": "model", "DataSource": {"S3DataSource": where}}],
        "VpcConfig": {"Subnets": ["subnet-1"], "SecurityGroupIds": ["sg-1"]},
        "Environment": {"A": "b"},
        "Tags": [{"Key": "team", "Value": "rl"}],
    }
    assert {key: made[key] for key in expected} == expected


def test_hyperparameters_are_those_of_train_and_say_where_live_files_go() -> None:
    options = launch.parse(["train", "cartpole-aws", "config.lr=0.1", "--max-run", "60"])
    assert launch.check(options) == {
        "command": "train",
        "experiment": "cartpole-aws",
        "rl.training.config.lr": "0.1",
        "max_run": "60",
    }
    assert training_request.reserved_hyperparameters("first", "s3://bucket/jobs", "eu-west-1", with_code=True) == {
        "sagemaker_s3_output": "s3://bucket/jobs",
        "sagemaker_region": "eu-west-1",
        "sagemaker_submit_directory": "s3://bucket/jobs/first/source/sourcedir.tar.gz",
    }
    assert training_request.model_url("first", "s3://bucket/jobs") == "s3://bucket/jobs/first/output/model.tar.gz"
    for local in ("runs/first/model", "model.tar.gz"):
        with pytest.raises(UserError, match=f"{local}: SageMaker reads models at s3://"):
            training_request.model_url(local, "s3://bucket/jobs")


@pytest.mark.parametrize(
    ("words", "channel"),
    [(["evaluate", "first"], "model"), (["train", "--from", "first"], "checkpoint")],
)
def test_the_model_goes_to_the_channel_that_the_command_reads(words: List[str], channel: str) -> None:
    options = launch.parse([*words, "--dry-run", "--role", "arn:aws:iam::123456789012:role/r"])
    made = launch.resolve(options, launch.check(options), SimpleNamespace(region_name="eu-west-1"))
    (given,) = training_request.request(made)["InputDataConfig"]
    assert given["ChannelName"] == channel
    assert given["DataSource"]["S3DataSource"]["S3Uri"].endswith("/first/output/model.tar.gz")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["train", "--instance-count", "0"], "--instance-count 0: at least 1"),
        (["evaluate", "first", "--instance-count", "2"], "--instance-count 2: an evaluation runs on one host"),
    ],
)
def test_a_count_that_cannot_be_is_refused(words: List[str], expected: str) -> None:
    with pytest.raises(UserError, match=expected):
        launch.check(launch.parse(words))


GROUPS = ["--instance-group", "head:ml.g5.xlarge:1", "--instance-group", "workers:ml.c5.4xlarge:3"]


def test_groups_of_instances_are_in_the_request_with_the_image_that_all_can_run() -> None:
    options = launch.parse(["train", *GROUPS, "head_group=head", "--dry-run", "--role", ROLE])
    made = launch.resolve(options, launch.check(options), SimpleNamespace(region_name="eu-west-1"))
    sent = training_request.request(made)
    assert sent["ResourceConfig"] == {
        "InstanceGroups": [
            {"InstanceType": "ml.g5.xlarge", "InstanceCount": 1, "InstanceGroupName": "head"},
            {"InstanceType": "ml.c5.4xlarge", "InstanceCount": 3, "InstanceGroupName": "workers"},
        ],
        "VolumeSizeInGB": 30,
    }
    assert "gpu" in sent["AlgorithmSpecification"]["TrainingImage"]
    assert sent["HyperParameters"]["head_group"] == "head"
    assert sent["Environment"] == {"RL_CLUSTER_PASSWORD": "<random>"}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["train", "--instance-group", "ml.c5.xlarge"], "ml.c5.xlarge: expected NAME:TYPE:COUNT"),
        (["train", "--instance-group", "a:ml.c5.xlarge:0"], "a:ml.c5.xlarge:0: expected NAME:TYPE:COUNT"),
        (["train", *GROUPS, *GROUPS[:2]], "--instance-group head: given twice"),
        (["train", *GROUPS, "--instance-count", "2"], "which --instance-type and --instance-count give"),
        (["train", *GROUPS, "head_group=trainer"], "head_group = trainer: must be one of head, workers"),
        (["evaluate", "first", *GROUPS], "--instance-group: an evaluation runs on one host"),
    ],
)
def test_groups_that_cannot_be_are_refused(words: List[str], expected: str) -> None:
    with pytest.raises(UserError, match=expected):
        launch.check(launch.parse(words))


def test_several_hosts_get_a_password_that_is_new_each_time_and_not_printed() -> None:
    words = ["train", "--instance-count", "2"]
    first, second = (launch.secret_of(launch.parse(words)) for _ in range(2))
    assert [*first] == ["RL_CLUSTER_PASSWORD"] and len({*first.values(), *second.values()}) == 2
    assert launch.secret_of(launch.parse([*words, "--dry-run"])) == {"RL_CLUSTER_PASSWORD": "<random>"}
    assert launch.secret_of(launch.parse(["train"])) == {}


@pytest.mark.parametrize("model", [["first"], ["--model", "first"]], ids=["word", "flag"])
def test_hyperparameters_of_an_evaluation_are_those_that_the_container_takes(model: List[str]) -> None:
    options = launch.parse(["evaluate", *model, "evaluate_episodes=5", "deterministic=false", "--max-run", "60"])
    made = launch.check(options)
    assert made == {"command": "evaluate", "evaluate_episodes": "5", "deterministic": "false", "max_run": "60"}
    hyperparameters.parse_evaluation(
        {**made, **training_request.reserved_hyperparameters("e", "s3://bucket", "eu-west-1", False)}
    )
    assert options.job.models == ("first",)


@pytest.mark.parametrize(
    ("words", "about"),
    [
        (["train"], "cartpole"),
        (["train", "--program", "examples/program/random_search.py"], "random_search"),
        (["evaluate", "first"], "first-evaluation"),
        (["evaluate", "s3://bucket/jobs/second/output/model.tar.gz"], "second-evaluation"),
        (["evaluate", "s3://bucket/mine.tar.gz"], "mine-evaluation"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_a_job_is_named_after_what_it_is_about(words: List[str], about: str) -> None:
    options = launch.parse(words)
    assert launch.subject(options.job, launch.hyperparameters_of(options.job)) == about
    sagemaker.check_job_name(training_request.default_name(about * 5))


@pytest.mark.parametrize(
    ("instance_type", "flavor"),
    [
        *((f"ml.{kind}.xlarge", "gpu") for kind in ("p2", "p3", "p4d", "p5", "g4dn", "g5", "g6", "g6e")),
        *((f"ml.{kind}.xlarge", "cpu") for kind in ("c5", "m5", "t3", "r7i")),
    ],
)
def test_the_instance_type_picks_the_image(instance_type: str, flavor: str) -> None:
    assert pushed_images.flavor_of(instance_type) == flavor


def test_an_instance_type_newer_than_boto3_passes() -> None:
    known = ["ml.c5.large", "ml.c5.xlarge"]
    instances.check_for_training("ml.c99.large", known)
    with pytest.raises(UserError, match=r"ml\.c5 has large, xlarge"):
        instances.check_for_training("ml.c5.2large", known)


def test_a_policy_gives_no_more_than_what_jobs_do() -> None:
    policy = execution_role.permissions("aws-cn", "cn-north-1", "123456789012", "bucket", "repository")
    resources = {statement["Sid"]: statement["Resource"] for statement in policy["Statement"]}
    assert resources == {
        "Bucket": "arn:aws-cn:s3:::bucket",
        "Files": "arn:aws-cn:s3:::bucket/*",
        "Registry": "*",
        "Images": "arn:aws-cn:ecr:cn-north-1:123456789012:repository/repository",
        "Logs": "arn:aws-cn:logs:cn-north-1:123456789012:log-group:/aws/sagemaker/*",
        "Metrics": "*",
    }
    actions = [action for statement in policy["Statement"] for action in statement["Action"]]
    assert not any("*" in action for action in actions)
    more = execution_role.permissions("aws", "r", "1", "b", "r", vpc=True, kms_key="arn:key")["Statement"]
    assert [statement["Sid"] for statement in more[6:]] == ["Network", "Key"]
    assert execution_role.trust()["Statement"][0]["Principal"] == {"Service": "sagemaker.amazonaws.com"}


def test_the_requests_of_an_endpoint() -> None:
    wanted = EndpointRequest(
        "mine", "mine-1", "image", "s3://b/m.tar.gz", ROLE, environment={"A": "b"}, tags={"t": "v"}
    )
    tags = [{"Key": "t", "Value": "v"}]
    assert endpoints.model_request(wanted) == {
        "ModelName": "mine-1",
        "PrimaryContainer": {"Image": "image", "ModelDataUrl": "s3://b/m.tar.gz", "Environment": {"A": "b"}},
        "ExecutionRoleArn": ROLE,
        "Tags": tags,
    }
    variant = {
        "VariantName": "AllTraffic",
        "ModelName": "mine-1",
        "InitialInstanceCount": 1,
        "InstanceType": "ml.m5.large",
    }
    assert endpoints.configuration_request(wanted) == {
        "EndpointConfigName": "mine-1",
        "ProductionVariants": [variant],
        "Tags": tags,
    }
    assert endpoints.endpoint_request(wanted) == {"EndpointName": "mine", "EndpointConfigName": "mine-1", "Tags": tags}


def test_the_repository_keeps_the_last_images_of_each_kind() -> None:
    assert push.repository_request("mine") == {
        "repositoryName": "mine",
        "imageTagMutability": "IMMUTABLE",
        "imageScanningConfiguration": {"scanOnPush": True},
        "tags": [{"Key": "project", "Value": "sagemaker-rllib"}],
    }
    rules = push.lifecycle(7)["rules"]
    assert [rule["selection"] for rule in rules] == [
        {"tagStatus": "tagged", "tagPrefixList": [prefix], "countType": "imageCountMoreThan", "countNumber": 7}
        for prefix in ("cpu-", "gpu-")
    ]


def test_the_body_of_a_prediction() -> None:
    assert predict.body(["[1, 2]"], sample=False) == b'{"observations": [[1, 2]]}'
    assert predict.body(["3"], sample=True) == b'{"observations": [3], "deterministic": false}'
    assert predict.body(['{"position": 1}'], sample=False) == b'{"observations": [{"position": 1}]}'
    assert predict.body(['{"observations": [[1]]}'], sample=False) == b'{"observations": [[1]]}'
    with pytest.raises(UserError, match="observation left: no JSON"):
        predict.body(["left"], sample=False)


def test_a_curve_fits_its_width_and_keeps_its_ends() -> None:
    line = screen.curve([float(number) for number in range(1000)], width=20)
    assert line == "episode_reward_mean  0.0 ▁▁▁▂▂▂▃▃▃▄▄▅▅▅▆▆▆▇▇█ 999.0"
    assert screen.curve([5.0, 5.0]) == "episode_reward_mean  5.0 ▁▁ 5.0"
