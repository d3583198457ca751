"""job.json: the record of a job, in the words of DescribeTrainingJob."""

from __future__ import annotations

import itertools
import json
import os
import re
import socket
import sys
import threading
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib import metadata
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Mapping, Optional

from rl_app.errors import JobError, UserError
from rl_app.files import exclusive
from rl_app.job import metrics
from rl_app.job.sagemaker import Paths
from rl_app.machine import process_space, started_at
from rl_app.storage import job_record, layout
from rl_app.storage.base import Store
from rl_app.storage.directory import DirectoryStore
from rl_app.storage.job_record import Record

if TYPE_CHECKING:
    from rl_app.local.checked_job import CheckedJob

HEARTBEAT_S = 20.0


INTERRUPTED = "Interrupted"
"""SageMaker's word for a job whose spot instance was taken away."""


@dataclass(frozen=True)
class End:
    """How a job ended, in the words of DescribeTrainingJob, and our exit status."""

    status: str
    code: int
    secondary: Optional[str] = None
    reason: Optional[str] = None


def claim(request: CheckedJob, environ: Mapping[str, str]) -> Record:
    """Write the first job.json, which makes the name this job's; raises UserError for a name in use."""
    if request.earlier:
        return _claim_again(request, environ)
    there: List[str] = []
    for name in _names(request):
        record, there = _new_record(request, name, environ), [entry.key for entry in request.store.list(name)]
        # files without a record are another's: a job of SageMaker's, or a copy that scripts/fetch has brought
        if not there and request.store.create(f"{name}/{layout.RECORD}", as_json(record)):
            return record
    given = f"--job {request.name}: {request.store.url} has"
    if there and f"{request.name}/{layout.RECORD}" not in there:
        raise UserError(f"{given} files of this name that are no job's of here, such as {there[0]}; take another")
    resumed = "" if request.is_evaluation else f", or go on with it by `--resume {request.name}`"
    raise UserError(f"{given} a job of this name already; take another{resumed}")


def _claim_again(request: CheckedJob, environ: Mapping[str, str]) -> Record:
    """Write the first job.json of a job that goes on; raises UserError where another has done so since it was read."""
    kept = {"CreationTime", "TrainingTimeInSeconds", "ModelArtifacts"} & set(request.earlier)
    name = request.earlier["TrainingJobName"]
    file = f"{name}/{layout.RECORD}"
    record = {**_new_record(request, name, environ), **{key: request.earlier[key] for key in kept}}
    with _alone(request.store, name):
        if job_record.read(request.store.read(file), f"{request.store.url}/{file}") != request.earlier:
            raise UserError(f"--resume {name}: it has gone on meanwhile, as another has asked for the same")
        save(request.store, record)
    return record


@contextmanager
def _alone(store: Store, name: str) -> Iterator[None]:
    """Hold a job of a directory; S3 has no lock, and so a moment in which two may find the same."""
    with exclusive(store.root / name, lambda: None) if isinstance(store, DirectoryStore) else nullcontext():
        yield


def _names(request: CheckedJob) -> Iterator[str]:
    if request.name:
        yield request.name
        return
    experiment = re.sub("[^a-zA-Z0-9]+", "-", request.settings.experiment)[:41].strip("-")
    name = f"{experiment or 'job'}-{utc_now():%Y-%m-%d-%H-%M-%S}"
    yield name
    yield from (f"{name}-{number}" for number in itertools.count(2))


def _new_record(request: CheckedJob, name: str, environ: Mapping[str, str]) -> Record:
    now, url = utc_now().isoformat(), request.store.url
    return {
        "TrainingJobName": name,
        "TrainingJobStatus": "InProgress",
        "SecondaryStatus": "Training",
        "CreationTime": now,
        "LastModifiedTime": now,
        "HyperParameters": request.hyperparameters,
        "InputDataConfig": [_channel(name, each.uri) for name, each in request.inputs.items()],
        "AlgorithmSpecification": {"TrainingImage": environ.get("RL_IMAGE") or None},
        "Versions": _versions(),
        "OutputDataConfig": {"S3OutputPath": url},
        "CheckpointConfig": {"S3Uri": f"{url}/{name}/{layout.CHECKPOINTS}", "LocalPath": None},
        "StoppingCondition": {"MaxRuntimeInSeconds": request.settings.max_run},
        "Local": {
            "Host": socket.gethostname(),
            "Space": process_space(),
            "Processes": {str(os.getpid()): started_at(os.getpid())},
        },
    }


def _channel(name: str, uri: str) -> Record:
    """Return a channel as DescribeTrainingJob gives it."""
    return {
        "ChannelName": name,
        "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": uri}},
    }


def _versions() -> Dict[str, str]:
    versions = {"python": ".".join(map(str, sys.version_info[:3]))}
    for package in ("ray", "tensorflow", "tensorflow-cpu", "gym"):
        with suppress(metadata.PackageNotFoundError):
            versions[package] = metadata.version(package)
    return versions


@contextmanager
def heartbeat(store: Store, record: Record) -> Iterator[None]:
    """Write job.json again and again: where its LastModifiedTime is old, the job has died."""
    done = threading.Event()

    def beat() -> None:
        while True:
            with suppress(JobError):
                save(store, record)
            if done.wait(HEARTBEAT_S):
                return

    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def final_metrics(paths: Paths) -> List[Dict[str, Any]]:
    """Return the last rewards of the job, as DescribeTrainingJob gives the last values of its metrics."""
    with suppress(OSError, ValueError, LookupError, TypeError):
        found = json.loads((paths.output_data / "evaluation.json").read_text())["models"][0]
        now = utc_now().isoformat()
        return [
            {"MetricName": f"episode_reward_{key}", "Value": float(found[key]), "Timestamp": now}
            for key in ("mean", "max")
        ]
    for directory in (paths.output_data, paths.checkpoints):
        try:
            rows = [row for row in metrics.read(directory) if row.get("episode_reward_mean") is not None]
            if rows:
                at = datetime.fromtimestamp(rows[-1]["timestamp"], timezone.utc).isoformat()
                return [
                    {"MetricName": key, "Value": rows[-1][key], "Timestamp": at}
                    for key in ("episode_reward_mean", "episode_reward_max")
                ]
        except (ValueError, TypeError, KeyError, AttributeError):
            continue  # a user's own program may write something else under that name
    return []


def save(store: Store, record: Record) -> None:
    record["LastModifiedTime"] = utc_now().isoformat()
    store.write(f"{record['TrainingJobName']}/{layout.RECORD}", as_json(record))


def as_json(content: Any) -> bytes:
    return (json.dumps(content, indent=2) + "\n").encode()


def utc_now() -> datetime:
    return datetime.now(timezone.utc)
