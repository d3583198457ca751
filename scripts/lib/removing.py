"""`scripts/jobs --rm`: jobs with all that they left, in a directory, in MinIO or in S3."""

from __future__ import annotations

import os
import shutil
import sys
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Callable, List, NamedTuple, Optional, Sequence

from rl_app.errors import JobError, UserError
from rl_app.storage import layout
from rl_app.storage.base import WORK
from rl_app.storage.directory import DirectoryStore
from scripts.lib import locating
from scripts.lib.cli import note
from scripts.lib.following import named
from scripts.lib.jobs import ENDED, Job
from scripts.lib.wording import count, in_bytes, short_path


class Remains(NamedTuple):
    """What there is of a job: the keys of its files, or the folders that hold all of it."""

    job: Job
    keys: Sequence[str]
    folders: Sequence[Path]
    files: int
    size: int


def remove(names: Sequence[str], url: Optional[str], in_cloud: bool, yes: bool, open_session: Callable[[], Any]) -> int:
    """Say what there is of the jobs, ask, and remove it; return the exit status.

    Args:
        names: the jobs; where one of them is refused, all stay.
        url: the store to look in, if not in all of this machine.
        in_cloud: they are SageMaker's, whose record stays.
        yes: removes without asking.
        open_session: opens AWS's session, for jobs of SageMaker's.

    Raises:
        UserError: there is no such job, it runs, or nobody can be asked.
        JobError: the store fails.
    """
    session = open_session() if in_cloud else None
    remains = [remains_of(locating.find(name, url, session)) for name in dict.fromkeys(names)]
    for each in remains:
        note(line_of(each))
    if not (yes or confirmed(remains)):
        note("nothing was removed")
        return 1
    for each in remains:
        refuse_running(locating.find(each.job.name, url, session))  # it may go on by now
        take_away(each)
        note(f"removed {each.job.name}{'; SageMaker keeps its record of it' if in_cloud else ''}")
    return 0


def remains_of(job: Job) -> Remains:
    """Look at what there is of a job; raises UserError for one that runs."""
    refuse_running(job)
    if isinstance(job.store, DirectoryStore):
        homes = [home for home in (job.store.root / job.name, job.store.root / WORK / job.name) if home.exists()]
        files = [path for home in homes for path in home.rglob("*") if path.is_file() or path.is_symlink()]
        return Remains(job, [], homes, len(files), sum(path.lstat().st_size for path in files))
    entries = job.store.list(job.name)
    return Remains(job, [entry.key for entry in entries], [], len(entries), sum(entry.size for entry in entries))


def refuse_running(job: Job) -> None:
    """Raise UserError for a job that has not ended, or of which nothing tells."""
    if job.is_copy or job.state in ENDED or job.silent_s is not None:
        return
    if job.state:
        raise UserError(f"{job.name}: it is {job.state}; `scripts/stop {named(job)}` stops it")
    kept = {entry.key for entry in job.store.list(f"{job.name}/output")}
    if not any(f"{job.name}/{archive}" in kept for archive in (layout.MODEL, layout.OUTPUT)):
        raise UserError(f"{job.name}: nothing in {job.kept_in.name} tells whether it has ended; --cloud asks SageMaker")


def line_of(remains: Remains) -> str:
    """Write a line on what is to be removed."""
    job = remains.job
    state = "a fetched copy" if job.is_copy else job.state or "ended"
    where = " and ".join(map(short_path, remains.folders)) or f"{job.store.url}/{job.name}"
    return f"{job.name}  {state}  {where}: {count(remains.files, 'file')}, {in_bytes(remains.size)}"


def confirmed(remains: Sequence[Remains]) -> bool:
    """Ask whether to go on; raises UserError where there is no terminal to ask on."""
    if not sys.stdin.isatty():
        raise UserError("--rm: asks before it removes, and there is no terminal; --yes removes without asking")
    size = in_bytes(sum(each.size for each in remains))
    print(f"remove {count(len(remains), 'job')}, {size}, for good? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def take_away(remains: Remains) -> None:
    """Remove all of a job; what a removal that was cut short leaves can be removed by the next. Raises JobError."""
    try:
        for folder in remains.folders:
            # under another name at once, so that nobody takes half a job for a whole one
            unwanted = folder.parent / f".tmp-removed-{uuid.uuid4().hex}"
            os.rename(folder, unwanted)
            shutil.rmtree(unwanted)
    except OSError as error:
        raise JobError(f"{error.filename}: {error.strerror}") from None
    record = f"{remains.job.name}/{layout.RECORD}"
    delete_keys(remains, [key for key in remains.keys if key != record])
    delete_keys(remains, [key for key in remains.keys if key == record])  # last: until then the job is found


def delete_keys(remains: Remains, keys: List[str]) -> None:
    """Delete files of the job's store. Raises JobError."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(remains.job.store.delete, keys))
