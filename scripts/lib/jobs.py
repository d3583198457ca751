"""The jobs of the stores: each with its record, found by name or all together."""

from __future__ import annotations

import difflib
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import lru_cache
from pathlib import Path
from typing import Any, List, Mapping, Optional

from rl_app import machine
from rl_app.errors import JobError, UserError
from rl_app.job import sagemaker
from rl_app.storage import job_record, layout
from rl_app.storage.base import Store
from rl_app.storage.directory import DirectoryStore
from rl_app.storage.job_record import Record
from scripts.lib import stores
from scripts.lib.environments import ROOT
from scripts.lib.stores import NamedStore, NamedStores

STATES = ("Completed", "Failed", "InProgress", "Stopped")
ENDED = ("Completed", "Failed", "Stopped")
FETCHED = "fetched.json"
"""Written by scripts/fetch into the copy of a job that is kept elsewhere; a job of the directory has job.json."""
SILENT_S = 60.0
"""A job of this machine writes job.json every 20 s: one that runs, and whose record is older than this, has died."""


@dataclass(frozen=True)
class Job:
    """A job of a store.

    ``record`` is its job.json, {} where there is none (a job of SageMaker's) and where it cannot be read.
    """

    name: str
    kept_in: NamedStore
    record: Record

    @property
    def store(self) -> Store:
        return self.kept_in.store

    @property
    def state(self) -> str:
        """InProgress, Completed, Failed, Stopped; "" where no record tells."""
        return str(self.record.get("TrainingJobStatus", ""))

    @property
    def is_copy(self) -> bool:
        """Tell whether it is what scripts/fetch has brought of a job that is kept elsewhere."""
        if not isinstance(self.store, DirectoryStore):
            return False
        home = self.store.root / self.name
        return (home / FETCHED).exists() and not (home / layout.RECORD).exists()

    @property
    def silent_s(self) -> Optional[float]:
        """For how long a job that should be running has given no sign of life; None where it is alive, or has ended."""
        modified = time_of(self.record, "LastModifiedTime")
        if self.state != "InProgress" or "Local" not in self.record or modified is None:
            return None
        age = (datetime.now(timezone.utc) - modified).total_seconds()
        return age if age > SILENT_S and not runs_here(self.record) else None


# ---- finding ----


def find(name: str, url: Optional[str] = None, environ: Mapping[str, str] = os.environ, root: Path = ROOT) -> Job:
    """Find the job of this name in the store ``url``, or in whichever store of this machine has it.

    Raises:
        UserError: no store has it, with the nearest names; or more than one has.
    """
    sagemaker.check_job_name(name)
    asked = stores.open_all(url, environ, root)
    found = [job for job in (look_up(name, store) for store in asked.open) if job]
    if len(found) > 1:
        options = " or ".join(f"--store {job.kept_in.name}" for job in found)
        raise UserError(f"{name}: a job of {' and of '.join(job.kept_in.name for job in found)}; say {options}")
    return found[0] if found else _copy(name, asked)


def _copy(name: str, asked: NamedStores) -> Job:
    """Find the fetched copy of a job whose own store does not have it, or is away; raises UserError without one."""
    for each in asked.open:
        record = read_record(each.store, f"{name}/{FETCHED}")
        if record is not None:
            return Job(name, each, record)
    raise UserError(absence(name, asked))


def absence(name: str, asked: NamedStores) -> str:
    """Say that none of these stores has the job, what is like it there, and which were left out."""
    known = sorted({known for each in asked.open for known in each.store.folders()})
    near = difflib.get_close_matches(name, known, n=3)
    wanted = (
        f"did you mean {' or '.join(near)}?"
        if near
        else "`scripts/jobs` lists them, `scripts/jobs --cloud` those of SageMaker"
    )
    reasons = "".join(f" ({reason})" for reason in asked.left_out)
    return f"{name}: no such job in {asked.names}; {wanted}{reasons}"


def all_of(kept_in: NamedStore) -> List[Job]:
    """List the jobs of a store, the newest first."""
    with ThreadPoolExecutor(8) as pool:
        found = pool.map(lambda name: look_up(name, kept_in), kept_in.store.folders())
        return sorted((job for job in found if job), key=began, reverse=True)


def look_up(name: str, kept_in: NamedStore) -> Optional[Job]:
    """Find the job in a store; None where it has none. A job of SageMaker's has output, but no job.json."""
    record = read_record(kept_in.store, f"{name}/{layout.RECORD}")
    if record is None:
        if not isinstance(kept_in.store, DirectoryStore) and kept_in.store.list(f"{name}/output"):
            return Job(name, kept_in, {})
        return None
    return Job(name, kept_in, record)


# ---- what a record tells ----


def read_record(store: Store, key: str) -> Optional[Record]:
    """Read a job's record: {} where it is no JSON object or another user's alone, None where there is no such file.

    What is of a wrong type is left out, and told of once on standard error. Raises JobError where the store fails.
    """
    try:
        text = store.read(key)
    except FileNotFoundError:
        return None
    except JobError as error:
        if not isinstance(error.__cause__, PermissionError):
            raise
        _tell_once(str(error))
        return {}
    record, wrong = job_record.read_what_is_sound(text, f"{store.url}/{key}")
    for line in wrong:
        _tell_once(line)
    return record


@lru_cache(maxsize=None)
def _tell_once(line: str) -> None:
    print(line, file=sys.stderr)


def runs_here(record: Record) -> bool:
    """Tell whether a process of the job is alive on this machine; it may be suspended, or its store away."""
    local = record.get("Local", {})
    if not Path("/proc/self/ns/pid").exists() or local.get("Space") != machine.process_space():
        return False
    return any(machine.started_at(int(pid)) == began for pid, began in local.get("Processes", {}).items())


def began(job: Job) -> str:
    """Return when the job was made, as a key to sort by; "" where no record tells."""
    at = time_of(job.record, "CreationTime")
    return at.astimezone(timezone.utc).isoformat() if at else ""


def time_of(record: Mapping[str, Any], key: str) -> Optional[datetime]:
    """Read a time of the record, in UTC where it names no zone; None where it has none that can be read."""
    try:
        at = datetime.fromisoformat(str(record[key]).replace("Z", "+00:00"))
    except (KeyError, ValueError):
        return None
    return at if at.tzinfo else at.replace(tzinfo=timezone.utc)


def state_line(record: Mapping[str, Any]) -> str:
    """Say the job's state in a line, with SageMaker's own words about it."""
    status, secondary = record["TrainingJobStatus"], record.get("SecondaryStatus", "")
    message = (record.get("SecondaryStatusTransitions") or [{}])[-1].get("StatusMessage", "")
    detail = "" if secondary in ("", status) else f", {secondary}"
    return f"{status}{detail}{f' ({message})' if message else ''}"
