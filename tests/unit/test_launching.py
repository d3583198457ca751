"""The requests that `scripts/launch`, `deploy`, `push` and `role` send, as values."""

from __future__ import annotations

from typing import List

import pytest

from rl_app import hyperparameters, metric_definitions, sagemaker
from rl_app.errors import UserError
from scripts import deploying, launching, predicting, pushing, roles, watching
from scripts.launching import Order

ROLE = "arn:aws-cn:iam::123456789012:role/rl"
LEAST = Order("first", "registry/image@sha256:1", ROLE, "s3://bucket/jobs", {"experiment": "cartpole"})


def test_the_least_request() -> None:
    assert launching.request(LEAST) == {
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


def test_every_option_is_in_the_request() -> None:
    order = Order(
        "second",
        "image",
        ROLE,
        "s3://bucket",
        {},
        instance_type="ml.g5.xlarge",
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
    made = launching.request(order)
    expected = {
        "OutputDataConfig": {"S3OutputPath": "s3://bucket", "KmsKeyId": "key"},
        "ResourceConfig": {
            "InstanceType": "ml.g5.xlarge",
            "InstanceCount": 1,
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
    options = launching.parse(["train", "cartpole-aws", "config.lr=0.1", "--max-run", "60"])
    assert launching.check(options) == {
        "command": "train",
        "experiment": "cartpole-aws",
        "rl.training.config.lr": "0.1",
        "max_run": "60",
    }
    assert launching.sagemakers("first", "s3://bucket/jobs", "eu-west-1", with_code=True) == {
        "sagemaker_s3_output": "s3://bucket/jobs",
        "sagemaker_region": "eu-west-1",
        "sagemaker_submit_directory": "s3://bucket/jobs/first/source/sourcedir.tar.gz",
    }
    assert launching.model_url("first", "s3://bucket/jobs") == "s3://bucket/jobs/first/output/model.tar.gz"


@pytest.mark.parametrize("model", [["first"], ["--model", "first"]], ids=["word", "flag"])
def test_hyperparameters_of_an_evaluation_are_those_that_the_container_takes(model: List[str]) -> None:
    options = launching.parse(["evaluate", *model, "evaluate_episodes=5", "deterministic=false", "--max-run", "60"])
    made = launching.check(options)
    assert made == {"command": "evaluate", "evaluate_episodes": "5", "deterministic": "false", "max_run": "60"}
    hyperparameters.parse_evaluation({**made, **launching.sagemakers("e", "s3://bucket", "eu-west-1", False)})
    assert options.model == "first"


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
    options = launching.parse(words)
    assert launching.subject(options, launching.hyperparameters_of(options)) == about
    sagemaker.check_job_name(launching.default_name(about * 5))


@pytest.mark.parametrize(
    ("instance_type", "flavor"),
    [
        *((f"ml.{kind}.xlarge", "gpu") for kind in ("p2", "p3", "p4d", "p5", "g4dn", "g5", "g6", "g6e")),
        *((f"ml.{kind}.xlarge", "cpu") for kind in ("c5", "m5", "t3", "r7i")),
    ],
)
def test_the_instance_type_picks_the_image(instance_type: str, flavor: str) -> None:
    assert launching.flavor_of(instance_type) == flavor


def test_an_instance_type_newer_than_boto3_passes() -> None:
    known = ["ml.c5.large", "ml.c5.xlarge"]
    launching.check_instance_type("ml.c99.large", known)
    with pytest.raises(UserError, match=r"ml\.c5 has large, xlarge"):
        launching.check_instance_type("ml.c5.2large", known)


def test_a_policy_gives_no_more_than_what_jobs_do() -> None:
    policy = roles.permissions("aws-cn", "cn-north-1", "123456789012", "bucket", "repository")
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
    more = roles.permissions("aws", "r", "1", "b", "r", vpc=True, kms_key="arn:key")["Statement"]
    assert [statement["Sid"] for statement in more[6:]] == ["Network", "Key"]
    assert roles.trust()["Statement"][0]["Principal"] == {"Service": "sagemaker.amazonaws.com"}


def test_the_requests_of_an_endpoint() -> None:
    order = deploying.Order("mine", "mine-1", "image", "s3://b/m.tar.gz", ROLE, environment={"A": "b"}, tags={"t": "v"})
    tags = [{"Key": "t", "Value": "v"}]
    assert deploying.model_request(order) == {
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
    assert deploying.configuration_request(order) == {
        "EndpointConfigName": "mine-1",
        "ProductionVariants": [variant],
        "Tags": tags,
    }
    assert deploying.endpoint_request(order) == {"EndpointName": "mine", "EndpointConfigName": "mine-1", "Tags": tags}


def test_the_repository_keeps_the_last_images_of_each_kind() -> None:
    assert pushing.repository_request("mine") == {
        "repositoryName": "mine",
        "imageTagMutability": "IMMUTABLE",
        "imageScanningConfiguration": {"scanOnPush": True},
        "tags": [{"Key": "project", "Value": "sagemaker-rllib"}],
    }
    rules = pushing.lifecycle(7)["rules"]
    assert [rule["selection"] for rule in rules] == [
        {"tagStatus": "tagged", "tagPrefixList": [prefix], "countType": "imageCountMoreThan", "countNumber": 7}
        for prefix in ("cpu-", "gpu-")
    ]


def test_the_body_of_a_prediction() -> None:
    assert predicting.body(["[1, 2]"], sample=False) == b'{"observations": [[1, 2]]}'
    assert predicting.body(["3"], sample=True) == b'{"observations": [3], "deterministic": false}'
    assert predicting.body(['{"position": 1}'], sample=False) == b'{"observations": [{"position": 1}]}'
    assert predicting.body(['{"observations": [[1]]}'], sample=False) == b'{"observations": [[1]]}'
    with pytest.raises(UserError, match="observation left: no JSON"):
        predicting.body(["left"], sample=False)


def test_a_curve_fits_its_width_and_keeps_its_ends() -> None:
    line = watching.curve([float(number) for number in range(1000)], width=20)
    assert line == "episode_reward_mean  0.0 ▁▁▁▂▂▂▃▃▃▄▄▅▅▅▆▆▆▇▇█ 999.0"
    assert watching.curve([5.0, 5.0]) == "episode_reward_mean  5.0 ▁▁ 5.0"
