"""A job followed to its end: its state, its log, and what it leaves, as they come."""

from __future__ import annotations

import shlex
import time
from pathlib import Path
from typing import Any, Callable, Iterator, Mapping, Optional, Union

from rl_app.errors import JobError, UserError
from rl_app.job import hyperparameters
from rl_app.storage import layout
from scripts.lib import aws, dotenv, jobs, stores, training_jobs
from scripts.lib.cli import INTERRUPTED, note
from scripts.lib.compose import COMPOSE
from scripts.lib.environments import ROOT
from scripts.lib.jobs import ENDED, Job, state_line
from scripts.lib.live_files import CloudWatchLog, LiveFiles, StoredLog
from scripts.lib.screen import Screen
from scripts.lib.wording import short_path

RUNS = ROOT / "runs"
CLOUD_S = 5.0  # between two looks at a job
LOCAL_S = 1.0

Pause = Callable[[float], None]


def follow_cloud(name: str, session: Any, into: Path = RUNS, pause: Pause = time.sleep) -> int:
    """Follow a job of SageMaker's to its end; return the exit status.

    Raises:
        UserError: there is no such job, or AWS refuses to tell. While AWS does not answer, it is asked again.
    """
    screen = Screen()
    try:
        job = cloud_end(name, session, into, screen, pause)
    except KeyboardInterrupt:
        screen.close()
        note(goes_on(name, name))
        return INTERRUPTED
    screen.close()
    return say_end(job)


def cloud_end(name: str, session: Any, into: Path, screen: Screen, pause: Pause) -> Mapping[str, Any]:
    """Show what is new until the job has ended; return its last description."""
    service, s3 = aws.client(session, "sagemaker"), aws.client(session, "s3")
    log = CloudWatchLog(name, aws.client(session, "logs"))
    files: Optional[LiveFiles] = None
    seen, trouble = "", False
    while True:
        try:
            job = training_jobs.describe(name, service)
            files = files or LiveFiles(training_jobs.as_job(job, s3), into)
            seen = show_fresh(screen, job, seen, log, files)
            if job["TrainingJobStatus"] in ENDED:
                return job
            trouble = False
        except JobError as error:
            if not trouble:
                screen.say(f"{error}; asking again")
            trouble = True
        pause(CLOUD_S)


def follow_local(job: Job, into: Path = RUNS, pause: Pause = time.sleep) -> int:
    """Follow a job that is kept in a store of this machine; return the exit status.

    Raises:
        UserError: no record of its own tells how it goes.
        JobError: the store fails, or has the job no more.
    """
    check_told(job)
    screen = Screen()
    try:
        job = local_end(job, into, screen, pause)
    except KeyboardInterrupt:
        screen.close()
        note(goes_on(job.name, named(job)))
        return INTERRUPTED
    screen.close()
    if job.silent_s is not None:
        note(f"{job.name}: no sign of life for {job.silent_s:.0f} s{way_on(job)}")
        return 1
    return say_end(job.record)


def check_told(job: Job) -> None:
    """Raise UserError for a job that nothing here writes on: one of SageMaker's, and a copy that was fetched."""
    if not job.state:
        raise UserError(f"{job.name}: nothing in {job.kept_in.name} tells how it goes; --cloud asks SageMaker")
    if job.is_copy and job.state not in ENDED:
        kept = job.record.get("Fetched", {}).get("From", "its own store")
        raise UserError(f"{job.name}: {job.kept_in.name} has a copy of it alone, that was fetched of {kept}")


def way_on(job: Job) -> str:
    """Say how a job that has died goes on; an evaluation does not."""
    resumes = not hyperparameters.is_evaluation(job.record.get("HyperParameters", {}))
    return f"; `scripts/train --resume {named(job)}` goes on" if resumes else ""


def named(job: Job) -> str:
    """Name a job of this machine as the scripts take it: with its store, where they do not look there by themselves."""
    own = job.kept_in.name in (COMPOSE, short_path(Path(stores.open_runs(dotenv.settings()).store.url)))
    return job.name if own else f"{job.name} --store {shlex.quote(job.kept_in.name)}"


def local_end(job: Job, into: Path, screen: Screen, pause: Pause) -> Job:
    """Show what is new until the job has ended or died; return it with its last record."""
    log, files, seen = StoredLog(job), LiveFiles(job, into), ""
    while True:
        if not job.is_copy:
            record = jobs.read_record(job.store, f"{job.name}/{layout.RECORD}")
            if record is None:
                raise JobError(f"{job.name}: it is in {job.kept_in.name} no more")
            job = Job(job.name, job.kept_in, record or job.record)
        seen = show_fresh(screen, job.record, seen, log, files)
        if job.state in ENDED or job.silent_s is not None:
            return job
        pause(LOCAL_S)


def show_fresh(
    screen: Screen, record: Mapping[str, Any], seen: str, log: Union[StoredLog, CloudWatchLog], files: LiveFiles
) -> str:
    """Show the state where it is not the one that was ``seen``, then log and files; return the state."""
    state = state_line(record)
    if state != seen:
        screen.say(f"{files.job.name}: {state}")
    for line in log.fresh():
        screen.log(line)
    for line in files.fresh():
        screen.say(line)
    return state


def goes_on(name: str, words: str) -> str:
    """Say what a job does that is not watched any more; ``words`` name it for the scripts."""
    return f"{name} goes on; `scripts/stop {words}` stops it, `scripts/watch {words}` follows it again"


def say_end(record: Mapping[str, Any]) -> int:
    """Say how a job ended; return the exit status."""
    for line in ending(record):
        note(line)
    return 0 if record["TrainingJobStatus"] == "Completed" else 1


def ending(record: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines that say how a job ended."""
    seconds, billed = record.get("TrainingTimeInSeconds"), record.get("BillableTimeInSeconds")
    times = f" after {seconds} s" if seconds is not None else ""
    paid = f", {billed} s billed" if billed is not None else ""
    yield f"{record['TrainingJobName']}: {state_line(record)}{times}{paid}"
    if record.get("FailureReason"):
        yield f"  why    {' '.join(str(record['FailureReason']).split())}"
    model = record.get("ModelArtifacts", {}).get("S3ModelArtifacts")
    if model:
        yield f"  model  {model}"
