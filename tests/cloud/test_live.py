"""The whole way on AWS itself: only with --live, as it takes half an hour, an account, and some cents of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import boto3
import pytest

from scripts.commands import push
from scripts.lib import buckets, endpoints, execution_role
from scripts.lib.endpoints import EndpointRequest, configuration_request, endpoint_request, model_request
from tests.cloud.live import Live, account
from tests.waiting import until

ROLE = "arn:aws:iam::123456789012:role/rl"
SHORT = ("stop.training_iteration=3", "config.min_iter_time_s=0")


@pytest.mark.timeout(3600)
def test_the_whole_way_from_the_image_to_an_endpoint_and_back(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    if not request.config.getoption("--live", default=False):
        pytest.skip("asks AWS itself, for money: `scripts/test cloud -- --live` runs it")
    with account(boto3.session.Session()) as live:
        image = live.script("push", "--repository", live.name)
        live.script("role", "--create", "--name", live.name, "--repository", live.name)
        common = ("--image", image, "--role", live.name, "--store", live.store)
        trained, stopped = f"{live.name}-a", f"{live.name}-b"
        # a role is not known everywhere at once
        until(lambda: live.script("launch", "train", *SHORT, "--job", trained, *common) == trained, 120)
        live.script("launch", "train", "--job", stopped, *common, "--max-run", "1200")
        live.script("watch", trained, "--cloud", "--into", str(tmp_path))
        live.script("stop", stopped, "--cloud", "--wait")
        live.script("fetch", trained, "--cloud", "--into", str(tmp_path))
        assert (tmp_path / trained / "model" / "policy.onnx").exists()
        live.script("plot", trained, "--cloud", "-o", str(tmp_path / "curve.png"))
        until(lambda: listed(live) == {trained: "Completed", stopped: "Stopped"}, 120)
        evaluated = live.script("launch", "evaluate", trained, "evaluate_episodes=3", *common, "--wait")
        assert "-evaluation-" in evaluated
        for _ in range(2):  # the second time it is updated in place
            assert live.script("deploy", trained, "--endpoint", live.name) == live.name
        answer = json.loads(live.script("predict", live.name, "[0, 0, 0.1, 0]"))
        assert "actions_0" in json.dumps(answer)
        live.script("delete", live.name)
    assert endpoints.find_parts(live.name, live.client("sagemaker")) == []


def listed(live: Live) -> Any:
    """The states of the account's jobs that are the test's."""
    rows = json.loads(live.script("jobs", "--cloud", "--json"))
    return {row["name"]: row["state"] for row in rows if row["name"].startswith(f"{live.name}-")}


def test_what_it_makes_is_removed_and_what_was_there_stays(aws: Any, tmp_path: Path) -> None:
    pushes = tmp_path / "build" / "pushed.json"
    pushes.parent.mkdir()
    pushes.write_text("[]\n")
    s3 = aws.client("s3")
    with account(aws, pushes) as live:
        bucket, prefix = buckets.split(live.store)
        buckets.ensure(s3, bucket, aws.region_name)
        for key in (f"{prefix}job/output/model.tar.gz", "of-others/file"):
            s3.put_object(Bucket=bucket, Key=key, Body=b"")
        execution_role.create(
            live.client("iam"), live.name, execution_role.permissions("aws", aws.region_name, "1", bucket, live.name)
        )
        live.client("ecr").create_repository(**push.repository_request(live.name))
        wanted = EndpointRequest(live.name, f"{live.name}-2026-01-31-12-00-00", "image", "s3://b/m.tar.gz", ROLE)
        service = live.client("sagemaker")
        service.create_model(**model_request(wanted))
        service.create_endpoint_config(**configuration_request(wanted))
        service.create_endpoint(**endpoint_request(wanted))
        pushes.write_text("[1]\n")
    assert [entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["of-others/file"]
    assert live.client("iam").list_roles()["Roles"] == []
    assert live.client("ecr").describe_repositories()["repositories"] == []
    assert endpoints.find_parts(live.name, service) == []
    assert pushes.read_text() == "[]\n"
    with account(aws, pushes):
        pass  # nothing was made, and nothing is missed
