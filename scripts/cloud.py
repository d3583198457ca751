"""SageMaker's training jobs, as the scripts take the jobs of a store: state from the API, files in S3."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any, Dict, Iterator, List, Mapping

from rl_app.metrics import Row
from rl_app.store import S3Store
from scripts import aws, stores
from scripts.building import NAME
from scripts.stores import Job, Place

PAGE = 100  # the most that Search gives at once
CLOUDWATCH = "/aws/sagemaker/TrainingJobs"
# What a curve is drawn from, and how the values of one period become one.
STATISTICS = {
    "episode_reward_mean": "Average",
    "episode_reward_min": "Minimum",
    "episode_reward_max": "Maximum",
    "training_iteration": "Maximum",
    "timesteps_total": "Maximum",
    "time_total_s": "Maximum",
}
# CloudWatch's own: how long it keeps values of which period.
KEPT = ((timedelta(days=15), 60), (timedelta(days=63), 300))
LONGEST_S = 3600


def find(name: str, session: Any) -> Job:
    """The job of this name. Raises UserError, JobError."""
    return as_job(describe(name, aws.client(session, "sagemaker")), aws.client(session, "s3"))


def describe(name: str, service: Any) -> Mapping[str, Any]:
    """DescribeTrainingJob. Raises UserError, JobError."""
    with aws.told(f"job {name}"):
        answer: Mapping[str, Any] = service.describe_training_job(TrainingJobName=name)
        return answer


def newest(session: Any, count: int) -> List[Job]:
    """The last jobs that scripts/launch launched, the newest first. Raises UserError, JobError."""
    service, s3 = aws.client(session, "sagemaker"), aws.client(session, "s3")
    with aws.told("jobs of SageMaker"):
        return [as_job(found, s3) for found in search(service, count)]


def search(service: Any, count: int) -> Iterator[Mapping[str, Any]]:
    """The descriptions of the last ``count`` jobs with our tag: ListTrainingJobs tells less, of everybody's."""
    ours = {"Name": "Tags.project", "Operator": "Equals", "Value": NAME}
    pages = service.get_paginator("search").paginate(
        Resource="TrainingJob",
        SearchExpression={"Filters": [ours]},
        SortBy="CreationTime",
        SortOrder="Descending",
        PaginationConfig={"MaxItems": count, "PageSize": min(count, PAGE)},
    )
    for page in pages:
        yield from (found["TrainingJob"] for found in page["Results"])


def as_job(description: Mapping[str, Any], s3: Any) -> Job:
    """A job of :mod:`scripts.stores`; its record is the description in plain values."""
    record: Dict[str, Any] = json.loads(json.dumps(description, default=_plain))
    record.pop("ResponseMetadata", None)
    url = record["OutputDataConfig"]["S3OutputPath"].rstrip("/")
    bucket, _, prefix = url[len("s3://") :].partition("/")
    return Job(record["TrainingJobName"], Place(url, S3Store(s3, bucket, prefix)), record)


def _plain(value: Any) -> str:
    if isinstance(value, datetime):
        return value.astimezone(timezone.utc).isoformat()
    raise TypeError(value)


# ---- the curve ----


def curve(job: Job, cloudwatch: Any) -> List[Row]:
    """What CloudWatch has of the job's metrics, a row a period, the oldest first. Raises UserError, JobError."""
    now = datetime.now(timezone.utc)
    began = stores.time_of(job.record, "TrainingStartTime") or stores.time_of(job.record, "CreationTime") or now
    ended = stores.time_of(job.record, "TrainingEndTime") or now
    rows: Dict[datetime, Row] = {}
    with aws.told(f"metrics of {job.name}"):
        pages = cloudwatch.get_paginator("get_metric_data").paginate(
            MetricDataQueries=queries(job.name, period(now - began)),
            StartTime=began - timedelta(seconds=LONGEST_S),  # a period is named by its beginning
            EndTime=ended + timedelta(seconds=LONGEST_S),
            ScanBy="TimestampAscending",
        )
        for result in (result for page in pages for result in page["MetricDataResults"]):
            for at, value in zip(result["Timestamps"], result["Values"]):
                rows.setdefault(at, {})[result["Label"]] = value
    return [rows[at] for at in sorted(rows) if STATISTICS.keys() <= rows[at].keys()]


def queries(name: str, seconds: int) -> List[Dict[str, Any]]:
    """GetMetricData's, one a metric."""
    return [
        {
            "Id": metric,
            "Label": metric,
            "MetricStat": {
                "Metric": {
                    "Namespace": CLOUDWATCH,
                    "MetricName": metric,
                    "Dimensions": [{"Name": "TrainingJobName", "Value": name}],
                },
                "Period": seconds,
                "Stat": statistic,
            },
        }
        for metric, statistic in STATISTICS.items()
    ]


def period(age: timedelta) -> int:
    """The shortest period, in seconds, of which CloudWatch still has values that old."""
    return next((seconds for kept, seconds in KEPT if age < kept), LONGEST_S)
