"""Launching against moto: what is made, the request that is sent, and what is refused, each in one line."""

from __future__ import annotations

import io
import json
import os
import socket
import tarfile
from pathlib import Path
from typing import Any, Dict, List

import boto3
import pytest
from botocore.exceptions import ClientError

from scripts.commands import launch, role
from scripts.lib import pushed_images
from scripts.lib.environments import ROOT
from scripts.lib.images import Image
from tests.cloud.conftest import ACCOUNT, REGION, put_image

BUCKET = f"sagemaker-{REGION}-{ACCOUNT}"
REGISTRY = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/sagemaker-rllib"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/sagemaker-rllib"


@pytest.fixture
def pushed(aws: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A CPU image and a GPU image were pushed."""
    file = tmp_path / "pushed.json"
    monkeypatch.setattr(pushed_images, "REMEMBERED", file)
    for flavor in ("cpu", "gpu"):
        digest = put_image(aws, flavor)
        pushed_images.remember(pushed_images.record(Image(flavor, f"{flavor}-1", "sha256:0"), REGISTRY, digest), file)
    return file


def uri(pushed: Path, flavor: str) -> str:
    """What was pushed last of a kind."""
    return next(each["uri"] for each in pushed_images.remembered(pushed) if each["flavor"] == flavor)


@pytest.fixture
def sent(aws: Any) -> List[Dict[str, Any]]:
    """The requests to create a training job, as they leave: moto changes what it is told."""
    requests: List[Dict[str, Any]] = []
    aws.events.register(
        "before-parameter-build.sagemaker.CreateTrainingJob", lambda params, **_: requests.append(dict(params))
    )
    return requests


def make_role(aws: Any) -> None:
    assert role.main(["--create"], lambda: aws) == 0


def train(aws: Any, *words: str) -> int:
    return launch.main(["train", *words], lambda: aws)


def test_role_bucket_and_job_are_made_and_the_request_is_that_of_the_dry_run(
    aws: Any, pushed: Path, sent: List[Dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    make_role(aws)
    assert capsys.readouterr().out == f"{ROLE}\n"
    words = ["config.lr=0.001", "--job", "first", "--spot", "--tag", "team=rl"]
    assert train(aws, *words) == 0
    assert capsys.readouterr().out == "first\n"
    assert train(aws, *words, "--role", ROLE, "--dry-run") == 0
    assert [json.loads(capsys.readouterr().out)] == sent
    assert sent[0]["AlgorithmSpecification"]["TrainingImage"] == uri(pushed, "cpu")
    job = aws.client("sagemaker").describe_training_job(TrainingJobName="first")
    assert job["RoleArn"] == ROLE
    s3 = aws.client("s3")
    assert s3.get_bucket_location(Bucket=BUCKET)["LocationConstraint"] == REGION
    assert all(s3.get_public_access_block(Bucket=BUCKET)["PublicAccessBlockConfiguration"].values())


def test_a_dry_run_calls_nothing_and_needs_no_credentials(
    pushed: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a dry run opened a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    assert launch.main(["train", "--role", ROLE, "--dry-run"], boto3.session.Session) == 0
    assert json.loads(capsys.readouterr().out)["RoleArn"] == ROLE


def test_a_dry_run_needs_no_region_no_image_and_no_role_and_marks_what_stands_for_them(
    pushed: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pushed.unlink()
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    assert launch.main(["train", "--dry-run", "--job", "first"], boto3.session.Session) == 0
    said = capsys.readouterr()
    request = json.loads(said.out)
    image = "<ACCOUNT>.dkr.ecr.<REGION>.amazonaws.com/sagemaker-rllib:cpu"
    placeholder = "arn:aws:iam::<ACCOUNT>:role/sagemaker-rllib"
    assert request["AlgorithmSpecification"]["TrainingImage"] == image
    assert request["RoleArn"] == placeholder
    assert request["OutputDataConfig"]["S3OutputPath"] == "s3://sagemaker-<REGION>-<ACCOUNT>"
    assert request["HyperParameters"]["sagemaker_region"] == "<REGION>"
    starts = [f"placeholder {value}: " for value in ("<REGION>", image, placeholder)]
    assert [line.startswith(start) for line, start in zip(said.err.splitlines(), starts)] == [True] * 3, said.err
    assert launch.main(["train", "--dry-run", "--role", "arn:aws:iam::1:user/me"], boto3.session.Session) == 2


def test_the_users_code_is_where_the_request_says(aws: Any, pushed: Path, sent: List[Dict[str, Any]]) -> None:
    make_role(aws)
    assert train(aws, "corridor", "--source", str(ROOT / "examples" / "corridor"), "--job", "own") == 0
    place = sent[0]["HyperParameters"]["sagemaker_submit_directory"]
    assert place == f"s3://{BUCKET}/own/source/sourcedir.tar.gz"
    body = aws.client("s3").get_object(Bucket=BUCKET, Key="own/source/sourcedir.tar.gz")["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(body)) as archive:
        assert {"envs.py", "experiments.py"} <= set(archive.getnames())


def test_a_name_in_use_is_refused_before_its_files_are_overwritten(
    aws: Any, pushed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_role(aws)
    program = str(ROOT / "examples" / "program" / "random_search.py")
    assert train(aws, "--job", "taken") == 0
    capsys.readouterr()
    assert train(aws, "--job", "taken", "--program", program) == 2
    assert "--job taken: there is a job of this name already" in capsys.readouterr().err
    assert "Contents" not in aws.client("s3").list_objects_v2(Bucket=BUCKET, Prefix="taken/source")


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["cartpol"], ["cartpol", "cartpole"]),
        (["config.lrr=0.1"], ["config.lrr", "lr"]),
        (["--job", "no spaces"], ["no spaces"]),
        (["--instance-type", "ml.c5.xlrge"], ["ml.c5.xlrge", "ml.c5 has", "xlarge"]),
        (["--instance-type", "c5.xlarge"], ["c5.xlarge", "ml.c5.xlarge"]),
        (["--spot", "--max-wait", "60"], ["--max-wait 60", "max_run", "86400"]),
        (["--subnet", "subnet-1"], ["--security-group"]),
        (["--tag", "team"], ["--tag team", "KEY=VALUE"]),
        (["--store", "bucket"], ["--store bucket", "s3://"]),
        (["--role", "arn:aws:iam::1:user/me"], ["arn:aws:iam::1:user/me", "role/NAME"]),
        (["--role", "nobody"], ["role nobody", "scripts/role --create"]),
        (["rl.training.env=" + "x" * 2501], ["2501 characters", "2500"]),
        (["--dependency", "examples"], ["--program"]),
        (["max_run=0"], ["max_run"]),
        (["--model", "first"], ["--model first", "evaluate"]),
    ],
    ids=lambda words: " ".join(words)[:40],
)
def test_what_is_wrong_is_one_line_and_makes_nothing(
    words: List[str], named: List[str], aws: Any, pushed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_role(aws)
    capsys.readouterr()
    assert train(aws, *words) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert len(said.err.splitlines()) == 1, said.err
    assert [text for text in named if text not in said.err] == []
    assert aws.client("s3").list_buckets()["Buckets"] == []


def test_an_image_that_was_not_pushed_here_is_named(
    aws: Any, pushed: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    elsewhere = boto3.session.Session(region_name="us-west-2")
    assert launch.main(["train", "--role", ROLE], lambda: elsewhere) == 2
    said = capsys.readouterr().err
    assert "no cpu image was pushed to us-west-2, though one is in eu-central-1: scripts/push cpu" in said
    pushed.unlink()
    assert train(aws, "--role", ROLE, "--instance-type", "ml.g4dn.xlarge") == 2
    assert "no gpu image was pushed to eu-central-1: scripts/push gpu" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("image", "named"),
    [
        (f"{REGISTRY}@sha256:{'0' * 64}", "ImageNotFoundException"),
        (f"{REGISTRY}:cpu-2", "ImageNotFoundException"),
        (f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/other:cpu-1", "RepositoryNotFoundException"),
    ],
    ids=["digest", "tag", "repository"],
)
def test_an_image_that_is_not_in_ecr_is_refused_before_anything_is_made(
    image: str, named: str, aws: Any, pushed: Path, sent: List[Dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(aws, "--role", ROLE, "--image", image) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith(f"image {image}: ECR does not have it ({named}: ")
    assert "scripts/push puts it there" in said
    assert sent == []
    assert aws.client("s3").list_buckets()["Buckets"] == []


def test_the_gpu_image_and_a_model_to_evaluate_are_those_of_the_request(
    aws: Any, pushed: Path, sent: List[Dict[str, Any]]
) -> None:
    words = ["evaluate", "--model", "first", "--role", ROLE, "--instance-type", "ml.g4dn.xlarge", "evaluate_episodes=5"]
    assert launch.main(words, lambda: aws) == 0
    (request,) = sent
    assert request["AlgorithmSpecification"]["TrainingImage"] == uri(pushed, "gpu")
    (channel,) = request["InputDataConfig"]
    assert channel["ChannelName"] == "model"
    assert channel["DataSource"]["S3DataSource"]["S3Uri"] == f"s3://{BUCKET}/first/output/model.tar.gz"
    given = {key: request["HyperParameters"][key] for key in ("command", "evaluate_episodes")}
    assert given == {"command": "evaluate", "evaluate_episodes": "5"}


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ([], ["one model"]),
        (["first", "second"], ["first and second", "one model"]),
        (["first", "config.lr=0.1"], ["config.lr", "trains nothing"]),
        (["first", "evaluate_episode=5"], ["evaluate_episode", "evaluate_episodes"]),
        (["first/second"], ["first/second"]),
    ],
    ids=lambda words: " ".join(words)[:40] or "nothing",
)
def test_what_is_wrong_with_an_evaluation_is_one_line(
    words: List[str], named: List[str], aws: Any, pushed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert launch.main(["evaluate", *words, "--role", ROLE], lambda: aws) == 2
    said = capsys.readouterr()
    assert len(said.err.splitlines()) == 1, said.err
    assert [text for text in named if text not in said.err] == []


@pytest.mark.parametrize(
    ("operation", "code", "message", "advice", "status"),
    [
        (
            "sagemaker.CreateTrainingJob",
            "AccessDeniedException",
            "not authorized to: iam:PassRole",
            "ask for the right",
            2,
        ),
        ("sagemaker.CreateTrainingJob", "ThrottlingException", "Rate exceeded", "try again in a minute", 1),
        ("sagemaker.CreateTrainingJob", "ResourceInUse", "Training job names must be unique", "give another", 2),
        ("sagemaker.CreateTrainingJob", "ValidationException", "No bucket there", "does not take the request", 2),
        ("sagemaker.DescribeTrainingJob", "ExpiredTokenException", "The token is expired", "log in again", 2),
        ("iam.GetRole", "AccessDenied", "not authorized to perform: iam:GetRole", "ask for the right", 2),
        ("s3.HeadBucket", "403", "Forbidden", "ask for the right", 2),
        ("s3.CreateBucket", "BucketAlreadyExists", "not available", "another account has a bucket of this name", 2),
    ],
    ids=lambda value: value if isinstance(value, str) and value.isalnum() else None,
)
def test_what_aws_refuses_is_one_line_with_what_to_do_and_its_own_words(
    operation: str,
    code: str,
    message: str,
    advice: str,
    status: int,
    aws: Any,
    pushed: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def refuse(**_: Any) -> None:
        raise ClientError({"Error": {"Code": code, "Message": message}}, operation)

    make_role(aws)
    capsys.readouterr()
    aws.events.register(f"before-call.{operation}", refuse)
    assert train(aws, "--job", "first") == status
    said = capsys.readouterr()
    assert said.out == ""
    last = said.err.splitlines()[-1]
    assert advice in last
    assert f"({code}: {message})" in last
    assert len(said.err.splitlines()) == (2 if operation == "sagemaker.CreateTrainingJob" else 1)


def test_who_may_not_ask_ecr_may_launch_all_the_same(
    aws: Any, pushed: Path, sent: List[Dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(**_: Any) -> None:
        raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "DescribeImages")

    aws.events.register("before-call.ecr.DescribeImages", refuse)
    assert train(aws, "--role", ROLE, "--job", "first") == 0
    assert len(sent) == 1


def test_a_bucket_in_another_region_is_refused(aws: Any, pushed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    aws.client("s3", region_name="us-west-2").create_bucket(
        Bucket="far-away", CreateBucketConfiguration={"LocationConstraint": "us-west-2"}
    )
    make_role(aws)
    capsys.readouterr()
    assert train(aws, "--store", "s3://far-away/jobs") == 2
    assert "bucket far-away: it is in us-west-2, and the job in eu-central-1" in capsys.readouterr().err


def test_what_was_made_before_a_failure_is_named(aws: Any, pushed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def quota(**_: Any) -> None:
        service = aws.client("sagemaker")
        answer = {"Error": {"Code": "ResourceLimitExceeded", "Message": "The limit for 'ml.c5.xlarge' is 0 Instances"}}
        raise service.exceptions.ResourceLimitExceeded(answer, "CreateTrainingJob")

    make_role(aws)
    capsys.readouterr()
    aws.events.register("before-call.sagemaker.CreateTrainingJob", quota)
    program = str(ROOT / "examples" / "program" / "random_search.py")
    assert train(aws, "--job", "much", "--program", program) == 2
    said = capsys.readouterr().err.splitlines()
    assert said[-1].startswith("job much: a quota of the account is reached: ask for more in Service Quotas")
    assert "(ResourceLimitExceeded: The limit for 'ml.c5.xlarge' is 0 Instances)" in said[-1]
    assert said[-1].endswith(f"there: bucket {BUCKET}, s3://{BUCKET}/much/source/sourcedir.tar.gz")


def test_no_credentials_and_no_region_are_one_line_each(
    aws: Any, pushed: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    assert launch.main(["train"], boto3.session.Session) == 2
    assert "no AWS credentials: `aws configure`" in capsys.readouterr().err
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    assert launch.main(["train"], boto3.session.Session) == 2
    assert capsys.readouterr().err == "no AWS region: set AWS_DEFAULT_REGION, or `aws configure set region NAME`\n"


def test_aws_that_does_not_answer_is_a_failure_and_not_the_users(
    aws: Any, pushed: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setattr("time.sleep", lambda _: None)
    assert launch.main(["train", "--role", ROLE], boto3.session.Session) == 1
    assert "AWS does not answer: is the network up" in capsys.readouterr().err


def test_a_role_that_is_there_is_brought_up_to_date(aws: Any, capsys: pytest.CaptureFixture[str]) -> None:
    make_role(aws)
    assert role.main(["--create", "--bucket", "another"], lambda: aws) == 0
    policy = aws.client("iam").get_role_policy(RoleName="sagemaker-rllib", PolicyName="sagemaker-rllib")
    assert policy["PolicyDocument"]["Statement"][0]["Resource"] == "arn:aws:s3:::another"
    assert "brought up to date" in capsys.readouterr().err


def test_a_refusal_while_the_job_is_followed_is_one_line(
    aws: Any, pushed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(**_: Any) -> None:
        raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "DescribeLogStreams")

    aws.events.register("before-call.cloudwatch-logs.DescribeLogStreams", refuse)
    assert train(aws, "--role", ROLE, "--job", "first", "--wait") == 2
    said = capsys.readouterr()
    assert said.out == "first\n"
    assert said.err.splitlines()[-1].startswith("log of first: these credentials may not do that")
