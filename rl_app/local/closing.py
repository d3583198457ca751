"""The end of a job: its last record, its directory, and what a person reads."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Iterator, List, Optional, Sequence, Tuple

from rl_app import disk
from rl_app.errors import JobError, UserError
from rl_app.job import hyperparameters
from rl_app.job.sagemaker import Paths
from rl_app.local import hints, kept
from rl_app.local.checked_job import CheckedJob
from rl_app.local.hints import Caller
from rl_app.local.record import INTERRUPTED, End, save
from rl_app.local.uploads import whole
from rl_app.reports import link
from rl_app.storage import layout
from rl_app.storage.base import Store
from rl_app.storage.job_record import Record

PATIENCE_S, PAUSE_S = 30.0, 1.0
"""Seconds in which a store that has taken all else is asked again to take job.json, and between two tries."""


def finish(request: CheckedJob, record: Record, base: Path, end: End, troubles: List[str]) -> End:
    """Write the last job.json, remove the base directory or note why it is kept, and tell how it ended."""
    disk.release(base)
    del record["Local"]
    closed = _closed(record, end)
    if whole(Paths(base).model):
        url = f"{record['OutputDataConfig']['S3OutputPath']}/{record['TrainingJobName']}/{layout.MODEL}"
        closed["ModelArtifacts"] = {"S3ModelArtifacts": url}
    written, end = _write(request.store, record, closed, end, troubles)
    if written is closed:
        kept.remove(base, record, is_given=bool(request.work))
    else:
        kept.keep(base, closed)
    say("\n".join(_closing_words(request, written, end, None if written is closed else base)))
    return end


def _closed(record: Record, end: End) -> Record:
    """Return the record of a job that has ended so."""
    reason = {"FailureReason": end.reason[:1024]} if end.reason else {}  # as much as SageMaker shows
    return {
        **record,
        "TrainingJobStatus": end.status,
        "SecondaryStatus": end.secondary or end.status,
        **reason,
    }


def _write(store: Store, record: Record, closed: Record, end: End, troubles: Sequence[str]) -> Tuple[Record, End]:
    """Write job.json and return it, with how the job ended: as ``closed`` says, unless the store lacks something."""
    if troubles:
        reasons = [end.reason or "", f"not uploaded: {'; '.join(troubles)}"]
        end = End("Failed", 1, reason="; ".join(filter(None, reasons)))
    written = _closed(record, end) if troubles else closed
    try:
        _save(store, written, 0.0 if troubles else PATIENCE_S)
    except JobError as error:
        end = End("Failed", 1, reason="; ".join(filter(None, [end.reason, str(error)])))
        written = _closed(record, end)
    return written, end


def _save(store: Store, record: Record, seconds: float) -> None:
    """Write job.json, trying again for so long; raises JobError where the store does not take it."""
    until = time.monotonic() + seconds
    while True:
        try:
            return save(store, record)
        except JobError:
            if time.monotonic() > until:
                raise
            time.sleep(PAUSE_S)


def _closing_words(request: CheckedJob, record: Record, end: End, left: Optional[Path]) -> Iterator[str]:
    name = record["TrainingJobName"]
    # an evaluation has printed a table
    found = [] if request.is_evaluation else record.get("FinalMetricDataList", [])[:1]
    rewards = [f", {entry['MetricName']} {entry['Value']:.1f}" for entry in found]
    yield f"job {name}: {end.status} after {record.get('TrainingTimeInSeconds', 0)} s{''.join(rewards)}"
    yield from _report(request.store, name, request.caller)
    if "FailureReason" in record and not was_said(request, record, end):
        yield f"  why    {record['FailureReason']}"
    yield f"  files  {request.store.url}/{name}"
    if "ModelArtifacts" in record:
        yield f"  model  {record['ModelArtifacts']['S3ModelArtifacts']}"
    if left:
        volume = f" of the volume {request.caller.volume}" if request.caller.volume else ""
        yield f"  kept   {left}{volume}, for it holds what is not in the store"
        yield hints.upload(name, request.caller, request.work)
    elif end.secondary != INTERRUPTED:
        yield from _hints(request, name, end.status)


def was_said(request: CheckedJob, record: Record, end: End) -> bool:
    """Return whether the reason is the line that our own job, which has run, ends with where the user can mend it."""
    program = hyperparameters.is_program(request.hyperparameters)
    return end.code == UserError.errno and "TrainingStartTime" in record and not program


def _hints(request: CheckedJob, name: str, status: str) -> Iterator[str]:
    """Yield what may be done next; nothing where a store that is gone cannot say what there is."""
    job, own = request.hyperparameters, ("command", "sagemaker_program")
    asked = replace(request.asked, hyperparameters={key: job[key] for key in job if key not in own})
    with suppress(JobError, UserError, OSError):
        store = request.store
        left = hints.Left(
            program=hyperparameters.is_program(job),
            output=bool(store.list(f"{name}/output")),
            checkpoints=bool(store.list(f"{name}/{layout.CHECKPOINTS}")),
            model=any(entry.key.endswith(layout.MODEL) for entry in store.list(f"{name}/output")),
            kept_source=bool(store.list(f"{name}/source")),
        )
        yield from hints.after(asked, name, status, request.settings.seed, left, request.caller)


def _report(store: Store, name: str, caller: Caller) -> Iterator[str]:
    with suppress(JobError):  # a store that fails has been told of
        yield from link.line(store, name, folder=caller.folder, scripts=caller.scripts)


def say(text: str) -> None:
    with suppress(OSError):  # a terminal that was closed is no reason to lose the job
        print(text, file=sys.stderr, flush=True)
