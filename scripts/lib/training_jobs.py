"""SageMaker's training jobs, as the scripts take the jobs of a store: state from the API, files in S3."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from itertools import islice
from typing import Any, Callable, Dict, Iterator, List, Mapping, Sequence

from rl_app.errors import UserError
from rl_app.job import metric_definitions
from rl_app.job.metrics import Row
from rl_app.storage.s3 import S3Store
from scripts.lib import aws
from scripts.lib.images import NAME
from scripts.lib.jobs import Job, time_of
from scripts.lib.stores import NamedStore

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
    """Find the job of this name. Raises UserError, JobError."""
    return as_job(describe(name, aws.client(session, "sagemaker")), aws.client(session, "s3"))


def describe(name: str, service: Any) -> Mapping[str, Any]:
    """Return DescribeTrainingJob. Raises UserError, JobError."""
    try:
        with aws.translate_errors(f"job {name}"):
            answer: Mapping[str, Any] = service.describe_training_job(TrainingJobName=name)
            return answer
    except UserError as error:
        if not aws.is_missing(error.__cause__):
            raise
        region = service.meta.region_name
        raise UserError(f"job {name}: SageMaker has none of this name in {region}") from error.__cause__


def newest(session: Any, count: int, wanted: Callable[[Job], bool] = lambda job: True) -> List[Job]:
    """List the last ``count`` wanted jobs of scripts/launch, the newest first. Raises UserError, JobError."""
    service, s3 = aws.client(session, "sagemaker"), aws.client(session, "s3")
    with aws.translate_errors("jobs of SageMaker"):
        found = (as_job(description, s3) for description in search(service, min(count, PAGE)))
        return list(islice(filter(wanted, found), count))


def search(service: Any, page_size: int) -> Iterator[Mapping[str, Any]]:
    """Yield the jobs with our tag as described, the newest first: ListTrainingJobs tells less, of everybody's."""
    ours = {"Name": "Tags.project", "Operator": "Equals", "Value": NAME}
    pages = service.get_paginator("search").paginate(
        Resource="TrainingJob",
        SearchExpression={"Filters": [ours]},
        SortBy="CreationTime",
        SortOrder="Descending",
        PaginationConfig={"PageSize": page_size},
    )
    for page in pages:
        yield from (found["TrainingJob"] for found in page["Results"])


def as_job(description: Mapping[str, Any], s3: Any) -> Job:
    """Make a job of :mod:`scripts.lib.jobs`; its record is the description in plain values."""
    record: Dict[str, Any] = json.loads(json.dumps(description, default=_plain))
    record.pop("ResponseMetadata", None)
    url = record["OutputDataConfig"]["S3OutputPath"].rstrip("/")
    bucket, _, prefix = url[len("s3://") :].partition("/")
    return Job(record["TrainingJobName"], NamedStore(url, S3Store(s3, bucket, prefix)), record)


def _plain(value: Any) -> str:
    if isinstance(value, datetime):
        return value.astimezone(timezone.utc).isoformat()
    raise TypeError(value)


# ---- the curve ----


def curve(job: Job, cloudwatch: Any, also: Sequence[str] = ()) -> List[Row]:
    """Read what CloudWatch has of the job's metrics, a row a period, the oldest first. Raises UserError, JobError.

    Each row has the rewards and the metrics of ``also``; of a metric that jobs do not define there is none.
    """
    if not metric_definitions.REGEXES.keys() >= set(also):
        return []
    now = datetime.now(timezone.utc)
    began = time_of(job.record, "TrainingStartTime") or time_of(job.record, "CreationTime") or now
    ended = time_of(job.record, "TrainingEndTime") or now
    rows: Dict[datetime, Row] = {}
    with aws.translate_errors(f"metrics of {job.name}"):
        pages = cloudwatch.get_paginator("get_metric_data").paginate(
            MetricDataQueries=queries(job.name, period(now - began), also),
            StartTime=began - timedelta(seconds=LONGEST_S),  # a period is named by its beginning
            EndTime=ended + timedelta(seconds=LONGEST_S),
            ScanBy="TimestampAscending",
        )
        for result in (result for page in pages for result in page["MetricDataResults"]):
            for at, value in zip(result["Timestamps"], result["Values"]):
                rows.setdefault(at, {})[result["Label"]] = value
    return [rows[at] for at in sorted(rows) if {*STATISTICS, *also} <= rows[at].keys()]


def queries(name: str, seconds: int, also: Sequence[str] = ()) -> List[Dict[str, Any]]:
    """Write the queries of GetMetricData, one a metric."""
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
        for metric, statistic in {**dict.fromkeys(also, "Average"), **STATISTICS}.items()
    ]


def period(age: timedelta) -> int:
    """Return the shortest period, in seconds, of which CloudWatch still has values that old."""
    return next((seconds for kept, seconds in KEPT if age < kept), LONGEST_S)
