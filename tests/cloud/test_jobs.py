"""`scripts/fetch`, `jobs` and `plot` on jobs of SageMaker's: state from the API, files in S3, curve from CloudWatch."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Dict, List

import pytest

from rl_app.storage.s3 import S3Store
from scripts.lib import curves, training_jobs, training_request
from scripts.lib.training_request import TrainingRequest
from tests.cloud.conftest import ACCOUNT, REGION
from tests.made_jobs import make, script

BUCKET = f"sagemaker-{REGION}-{ACCOUNT}"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/rl"
NOW = datetime.now(timezone.utc).replace(second=0, microsecond=0)


def launch(aws: Any, name: str, tags: Any = (("project", "sagemaker-rllib"),)) -> None:
    """A job in moto's account, which has completed."""
    job = TrainingRequest(name, "image", ROLE, f"s3://{BUCKET}/jobs", {"experiment": "cartpole"}, tags=dict(tags))
    aws.client("sagemaker").create_training_job(**training_request.request(job))


@pytest.fixture
def files(aws: Any) -> S3Store:
    """Where the jobs leave theirs."""
    s3 = aws.client("s3")
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    return S3Store(s3, BUCKET, "jobs")


def measure(aws: Any, name: str, rows: List[Dict[str, float]], age: timedelta = timedelta()) -> None:
    """What SageMaker finds in a job's log, a row a minute."""
    data = [
        {
            "MetricName": metric,
            "Dimensions": [{"Name": "TrainingJobName", "Value": name}],
            "Timestamp": NOW - age - timedelta(minutes=len(rows) - number),
            "Value": value,
        }
        for number, row in enumerate(rows)
        for metric, value in row.items()
    ]
    aws.client("cloudwatch").put_metric_data(Namespace="/aws/sagemaker/TrainingJobs", MetricData=data)


def row(iteration: int, reward: float) -> Dict[str, float]:
    return {
        "episode_reward_mean": reward,
        "episode_reward_min": reward / 2,
        "episode_reward_max": reward * 2,
        "training_iteration": iteration,
        "timesteps_total": 1000 * iteration,
        "time_total_s": 2.0 * iteration,
    }


def test_a_job_of_sagemaker_is_fetched_from_where_it_says_its_files_are(
    aws: Any, files: S3Store, tmp_path: Path
) -> None:
    launch(aws, "first")
    make(files, "first")
    files.delete("first/job.json")
    status, printed, said = script("fetch", "first", "--cloud", "--into", "into", cwd=tmp_path)
    assert status == 0, said
    home = tmp_path / "into" / "first"
    assert (home / "model" / "policy.onnx").read_bytes() == b"policy"
    assert printed.splitlines()[-1] == "into/first/output/data/report.html  with 1 video"
    note = json.loads((home / "fetched.json").read_text())
    assert note["TrainingJobStatus"] == "Completed"
    assert note["Fetched"]["From"] == f"s3://{BUCKET}/jobs/first"


def test_the_report_of_a_job_of_sagemaker_is_fetched_and_named(aws: Any, files: S3Store, tmp_path: Path) -> None:
    launch(aws, "first")
    make(files, "first")
    files.delete("first/job.json")
    words = ("first", "--cloud", "--print", "--into", "into")
    status, printed, said = script("report", *words, cwd=tmp_path)
    assert (status, printed) == (0, "into/first/output/data/report.html\n"), said
    assert (tmp_path / "into/first/output/data/report.html").read_text() == "<html>"


def test_our_jobs_are_listed_with_state_reason_and_reward(aws: Any, tmp_path: Path) -> None:
    for name in ("first", "second"):
        launch(aws, name)
    launch(aws, "of-others", {"project": "another"}.items())
    status, printed, said = script("jobs", "--cloud", "--json", cwd=tmp_path)
    assert status == 0, said
    rows = {listed["name"]: listed for listed in json.loads(printed)}
    assert rows.keys() == {"first", "second"}
    assert (rows["first"]["state"], rows["first"]["experiment"]) == ("Completed", "cartpole")
    assert rows["first"]["store"] == f"s3://{BUCKET}/jobs"
    status, printed, said = script("jobs", "--cloud", cwd=tmp_path)
    assert printed.splitlines()[0].split()[:4] == ["name", "state", "experiment", "reward"]


def test_the_search_is_of_our_tag_and_the_newest_first(cloud_search: Any) -> None:
    stub, session = cloud_search
    jobs = training_jobs.newest(session, 3)
    assert stub.calls("Search") == [
        {
            "Resource": "TrainingJob",
            "SearchExpression": {
                "Filters": [{"Name": "Tags.project", "Operator": "Equals", "Value": "sagemaker-rllib"}]
            },
            "SortBy": "CreationTime",
            "SortOrder": "Descending",
            "MaxResults": 3,
        }
    ]
    assert [(job.name, job.state, job.record["FailureReason"]) for job in jobs] == [("first", "Failed", "no memory")]


@pytest.fixture
def cloud_search(cloud: Any) -> Any:
    made, stub, session = cloud([{"TrainingJobStatus": "Failed", "FailureReason": "no memory"}])
    stub.answers["Search"] = lambda _: {"Results": [{"TrainingJob": made.describe_job({"TrainingJobName": "first"})}]}
    return stub, session


def test_a_curve_is_drawn_from_cloudwatch_where_it_has_one_else_from_the_jobs_files(aws: Any, files: S3Store) -> None:
    launch(aws, "measured")
    launch(aws, "unmeasured")
    measure(aws, "measured", [row(1, 20), row(2, 80.5)])
    make(files, "unmeasured")
    measured = curves.of_cloud(training_jobs.find("measured", aws), "steps", aws)
    assert (measured.at, measured.mean, measured.least, measured.greatest) == (
        [1000.0, 2000.0],
        [20.0, 80.5],
        [10.0, 40.25],
        [40.0, 161.0],
    )
    assert measured.goal == 475, "the experiment's"
    measure(aws, "measured", [{**row(3, 90), "entropy": 0.25}])
    entropy = curves.of_cloud(training_jobs.find("measured", aws), "steps", aws, "entropy")
    assert (entropy.at, entropy.mean, entropy.goal) == ([3000.0], [0.25], None)
    unmeasured = curves.of_cloud(training_jobs.find("unmeasured", aws), "time", aws)
    assert unmeasured.mean == [40.0, 60.0, 80.0, 100.0]


def test_the_curve_of_a_job_of_sagemaker_is_drawn(cloud: Any, tmp_path: Path) -> None:
    """On the stub: a boto3 newer than moto, which the script may have, asks CloudWatch in another protocol."""
    made, stub, _ = cloud([{"TrainingJobStatus": "Completed"}])
    made.metrics = [row(1, 20), row(2, 80.5)]
    status, printed, said = script("plot", "first", "--cloud", "-o", "first.png", cwd=tmp_path)
    assert status == 0, said
    assert "first: 80.50" in printed
    assert (tmp_path / "first.png").read_bytes().startswith(b"\x89PNG")
    assert stub.operations == ["DescribeTrainingJob", "GetMetricData"]


def test_the_rows_of_a_curve_are_whole_and_in_their_order(aws: Any) -> None:
    launch(aws, "first")
    measure(aws, "first", [row(1, 20), row(2, 40), row(3, 60), {"episode_reward_mean": 80}])
    job = training_jobs.find("first", aws)
    assert training_jobs.curve(job, aws.client("cloudwatch")) == [row(1, 20), row(2, 40), row(3, 60)]


@pytest.mark.parametrize(("days", "seconds"), [(1, 60), (14, 60), (20, 300), (100, 3600)])
def test_of_an_old_job_the_values_that_cloudwatch_still_has_are_asked_for(days: int, seconds: int) -> None:
    assert training_jobs.period(timedelta(days=days)) == seconds
    assert {query["MetricStat"]["Period"] for query in training_jobs.queries("first", seconds)} == {seconds}


@pytest.mark.parametrize("command", ["fetch", "plot"])
def test_a_job_that_sagemaker_does_not_know_is_one_line(command: str, aws: Any, tmp_path: Path) -> None:
    status, printed, said = script(command, "nowhere", "--cloud", cwd=tmp_path)
    assert (status, printed, len(said)) == (2, "", 1), said
    assert said[0].startswith("job nowhere: ")
