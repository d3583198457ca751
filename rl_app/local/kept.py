"""What stays of a job on this machine because its store did not take all of it."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path
from typing import Optional

from rl_app.errors import UserError
from rl_app.files import write_text
from rl_app.job import hyperparameters
from rl_app.job.sagemaker import Paths
from rl_app.local.opt_ml import NOT_UPLOADED, clear
from rl_app.local.record import as_json
from rl_app.storage import job_record
from rl_app.storage.base import WORK
from rl_app.storage.job_record import Record


def keep(base: Path, record: Record) -> None:
    """Note beside what is kept the job.json that is true once all of it is in the store."""
    with suppress(OSError):  # the disk is full, and what is kept speaks for itself
        write_text(base / NOT_UPLOADED, as_json(record).decode())


def read(base: Optional[Path], name: str) -> Record:
    """Return the job.json that is true once all is in the store; raises UserError where nothing is kept."""
    if base is None:
        raise UserError(f"{name}: where is it kept? --work DIR says")
    file = base / NOT_UPLOADED
    try:
        record = job_record.read(file.read_bytes(), str(file))
    except FileNotFoundError:
        raise UserError(f"{name}: nothing that is not in its store is kept in {base}") from None
    if record["TrainingJobName"] != name:
        raise UserError(f"{name}: what is kept in {base} is of another job, {record['TrainingJobName']}")
    return record


def remove(base: Path, record: Record, is_given: bool) -> None:
    """Remove what a job ran in; a directory that was given stays, empty."""
    if not is_given:
        shutil.rmtree(base, ignore_errors=True)
        if base.parent.name == WORK:
            with suppress(OSError):  # another job's is there
                base.parent.rmdir()
        return
    with suppress(FileNotFoundError):
        (base / NOT_UPLOADED).unlink()
    clear(Paths(base))
    if hyperparameters.is_program(record["HyperParameters"]):  # where sagemaker-training has put it
        shutil.rmtree(Paths(base).code, ignore_errors=True)
