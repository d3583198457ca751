"""``local upload``: brings to the store what a job could not, once the store is back."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Mapping, Sequence

from rl_app.errors import JobError, UserError
from rl_app.job import hyperparameters
from rl_app.job.sagemaker import Paths
from rl_app.local import kept
from rl_app.local.closing import say
from rl_app.local.opt_ml import base_of
from rl_app.local.record import save
from rl_app.local.uploads import upload
from rl_app.storage import job_record, layout
from rl_app.storage.base import Store
from rl_app.storage.job_record import Record
from rl_app.storage.mirror import Mirror
from rl_app.storage.opening import open_store

DEADLINE_S = 3600.0
EXAMPLES = """
examples:
  python -m rl_app local upload first                      what is kept in runs/.work/first
  python -m rl_app local upload first --store s3://bucket/prefix --work /tmp/first

The job's directory is removed once all is in the store, and job.json says how the job ended.
Exit status: 0 all is in the store, 1 something is not, 2 refused.
"""


def main(argv: Sequence[str], environ: Mapping[str, str], deadline: float = DEADLINE_S) -> int:
    """Bring what is kept of one job to its store; return the exit status.

    Args:
        argv: what follows ``local upload`` on the command line.
        deadline: seconds that it is tried for.
    """
    try:
        options = _parse(argv)
        store = open_store(options.store or environ.get("STORE") or "runs", environ)
        base = Path(options.work).absolute() if options.work else base_of(store, options.job, environ)
        record = kept.read(base, options.job)
        assert base is not None
        own = record["OutputDataConfig"]["S3OutputPath"]
        _bring(base, record, store if own == store.url else open_store(own, environ), deadline)
        kept.remove(base, record, is_given=bool(options.work))
        say(f"job {options.job}: all of it is in {own}/{options.job}; {record['TrainingJobStatus']}")
        return 0
    except (UserError, JobError) as error:
        say(str(error))
        return error.errno


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m rl_app local upload",
        description="Bring to the store what a job on this machine could not.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("job", metavar="JOB", help="the job's name")
    parser.add_argument("--store", metavar="URL", help="its store; default: STORE of the environment, or runs")
    parser.add_argument("--work", metavar="DIR", help="where it is kept; default: where jobs of this store run")
    return parser.parse_args(list(argv))


def _bring(base: Path, record: Record, store: Store, deadline: float) -> None:
    """Upload all that the job left, its record last; raises UserError, JobError."""
    name, paths = record["TrainingJobName"], Paths(base)
    _refuse_gone_on(record, store)
    say(f"job {name}: bringing {base} to {store.url}/{name}")
    checkpoints = Mirror(paths.checkpoints, store, f"{name}/{layout.CHECKPOINTS}", delete=True)
    live = Mirror(paths.intermediate, store, f"{name}/{layout.LIVE}")
    for mirror in (checkpoints, live):
        mirror.start()
    evaluated = hyperparameters.is_evaluation(record["HyperParameters"])
    troubles = upload(store, name, paths, [checkpoints, live], deadline, evaluated)
    if troubles:
        raise JobError(f"not uploaded: {'; '.join(troubles)}; {base} stays")
    save(store, record)


def _refuse_gone_on(record: Record, store: Store) -> None:
    """Raise UserError where the store's job has run since: what is kept would undo that."""
    name = record["TrainingJobName"]
    try:
        theirs = job_record.read(store.read(f"{name}/{layout.RECORD}"), f"{store.url}/{name}/{layout.RECORD}")
    except FileNotFoundError:
        return
    if theirs.get("CreationTime") != record["CreationTime"]:
        raise UserError(f"{name}: {store.url} has another job of this name, of {theirs.get('CreationTime')}")
    if theirs.get("TrainingStartTime", "") > record.get("TrainingStartTime", ""):
        raise UserError(f"{name}: {store.url} has it as it went on later, {theirs['TrainingStartTime']}")
