"""`scripts/doctor` on an account of moto's that fills up, and with nothing at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict

import boto3
import pytest

from scripts.commands import doctor, role
from scripts.lib import pushed_images
from scripts.lib.images import Image
from tests.cloud.conftest import ACCOUNT, REGION, put_image

REGISTRY = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/sagemaker-rllib"


@pytest.fixture(autouse=True)
def nothing_pushed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pushed_images, "REMEMBERED", tmp_path / "pushed.json")


def lines(capsys: Any) -> Dict[str, str]:
    """{check: "ok …" or "missing …"}."""
    rows = [line.split(None, 2) for line in capsys.readouterr().out.splitlines()]
    return {what: f"{state} {text}" for state, what, text in rows}


def test_what_is_missing_is_said_with_what_makes_it(aws: Any, capsys: Any) -> None:
    assert doctor.main([], lambda: aws) == 2
    said = lines(capsys)
    assert said["region"] == f"ok {REGION}"
    assert said["credentials"] == f"ok {ACCOUNT}"
    assert said["image"].startswith("missing") and "scripts/push cpu" in said["image"]
    assert said["role"].startswith("missing") and "scripts/role --create" in said["role"]
    assert said["bucket"] == f"ok sagemaker-{REGION}-{ACCOUNT} is made by the first launch"
    assert aws.client("s3").list_buckets()["Buckets"] == []


def test_with_all_in_place_it_is_content(aws: Any, capsys: Any) -> None:
    assert role.main(["--create"], lambda: aws) == 0
    digest = put_image(aws)
    pushed_images.remember(
        pushed_images.record(Image("cpu", "cpu-1", "sha256:0"), REGISTRY, digest), pushed_images.REMEMBERED
    )
    capsys.readouterr()
    status = doctor.main([], lambda: aws)
    said = lines(capsys)
    assert said["role"] == f"ok arn:aws:iam::{ACCOUNT}:role/sagemaker-rllib"
    assert said["image"] == f"ok {REGISTRY}@{digest}"
    assert said["sagemaker"] == "ok it answers"
    assert status == (2 if any(text.startswith("missing") for text in said.values()) else 0)


def test_an_image_that_ecr_has_removed_since_is_missing(aws: Any, capsys: Any) -> None:
    put_image(aws)
    gone = pushed_images.record(Image("cpu", "cpu-1", "sha256:0"), REGISTRY, "sha256:" + "0" * 64)
    pushed_images.remember(gone, pushed_images.REMEMBERED)
    assert doctor.main([], lambda: aws) == 2
    assert "ECR does not have it" in lines(capsys)["image"]


def test_a_full_disk_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (finding,) = doctor.check_disk(tmp_path)
    assert "GB are free" in finding.found
    monkeypatch.setattr(doctor, "BUILD_GB", 1e9)
    (finding,) = doctor.check_disk(tmp_path)
    assert finding.missing and "docker system prune" in finding.missing
    assert [*doctor.check_disk(tmp_path / "of-a-virtual-machine")] == []


def test_without_a_region_or_credentials_it_says_so(aws: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert doctor.main([], boto3.session.Session) == 2
    assert "no AWS credentials: `aws configure`" in lines(capsys)["credentials"]
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    assert doctor.main([], boto3.session.Session) == 2
    said = lines(capsys)
    assert "no AWS region: set AWS_DEFAULT_REGION" in said["region"]
    assert "credentials" not in said


def test_without_docker_it_says_what_docker_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    docker = tmp_path / "docker"
    docker.write_text("#!/bin/sh\necho 'Cannot connect to the Docker daemon' >&2\nexit 1\n")
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert doctor.main(["--local"]) == 2
    said = lines(capsys)
    assert said["docker"] == "missing `docker info` says: Cannot connect to the Docker daemon"
    assert said["git"].startswith("ok ")
