"""A job's model, output and videos, brought to this machine and unpacked, whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Dict, Iterator, List, Sequence, Tuple

from rl_app import files
from rl_app.errors import UserError
from rl_app.storage import archives, layout
from rl_app.storage.base import Entry
from rl_app.storage.directory import DirectoryStore
from scripts.lib import cli
from scripts.lib.downloads import Arrived, DownloadProgress, downloaded
from scripts.lib.jobs import FETCHED, Job
from scripts.lib.wording import count, in_bytes, short_path

UNPACKED = {layout.MODEL: Path("model"), layout.OUTPUT: Path("output", "data")}


def fetch(job: Job, into: Path) -> List[str]:
    """Put what the job left into ``into/JOB`` and return a line for each thing that is there now.

    Raises:
        UserError: nothing to fetch; something else is there; an archive is no good.
    """
    home = into / job.name
    own = isinstance(job.store, DirectoryStore) and job.store.root == into
    if own and job.is_copy:
        raise UserError(f"{job.name}: {home} is the copy that was fetched, and its own store is not there now")
    if not own:
        check_home(home)
    wanted = choose(job, own)
    if wanted:
        bring_all(job, wanted, into, own)
    elif not (own and (home / layout.LIVE).is_dir()):
        raise UserError(f"{job.name}: {job.kept_in.name} has no model and no output of it{because(job)}")
    return summary(home)


@contextmanager
def exclusive(into: Path) -> Iterator[None]:
    """Make the directory and holds it: one fetch at a time, which may clear up after one that was killed."""
    if into.exists() and not into.is_dir():
        raise UserError(f"--into {into}: is not a directory")
    into.mkdir(parents=True, exist_ok=True)
    waiting = f"another fetch into {short_path(into)} is at work: waiting for it"
    with files.exclusive(into, lambda: cli.note(waiting)):
        for left in into.glob(".tmp-fetch-*"):
            shutil.rmtree(left)
        yield


def check_home(home: Path) -> None:
    """Refuse to replace what is not a copy that was fetched."""
    if (home / layout.RECORD).exists():
        raise UserError(f"{home}: a job of this name was made there; `scripts/fetch --into DIR` names another place")
    if home.exists() and not (home / FETCHED).exists():
        raise UserError(f"{home}: was not made by scripts/fetch; move it away, or `scripts/fetch --into DIR`")


# ---- what there is ----


def choose(job: Job, own: bool) -> List[Entry]:
    """List the files of the store to fetch: the archives, and the live files where there is no final output.

    ``own``: the job is kept where its files are to be, and its live files are there.
    """
    known = {entry.key: entry for entry in job.store.list(f"{job.name}/output")}
    final = [known[key] for key in (f"{job.name}/{part}" for part in (layout.MODEL, layout.OUTPUT)) if key in known]
    live = [entry for key, entry in known.items() if key.startswith(f"{job.name}/{layout.LIVE}/")]
    finished = f"{job.name}/{layout.OUTPUT}" in known and job.state != "InProgress"
    return final if own or finished else final + live


def because(job: Job) -> str:
    """Say what the record does of a job that left nothing."""
    reason = job.record.get("FailureReason")
    return f" ({job.state}{f': {reason}' if reason else ''})" if job.state else ""


# ---- bringing it ----


def bring_all(job: Job, wanted: Sequence[Entry], into: Path, own: bool) -> None:
    """Put all of these files, unpacked, in the place of those that were fetched before."""
    home = into / job.name
    with tempfile.TemporaryDirectory(prefix=".tmp-fetch-", dir=into) as folder:
        made = Path(folder) / "job"
        with DownloadProgress(wanted) as progress:
            for entry in wanted:
                bring(job, entry, made, progress.begin(entry))
        if own:
            pairs = [(made / part, home / part) for part in UNPACKED.values() if (made / part).exists()]
        else:
            (made / FETCHED).write_bytes(note(job))
            pairs = [(made, home)]
        for path in (made, *made.rglob("*")):
            files.give_to_owner(path, into)
        swap(pairs, Path(folder) / "old")


def bring(job: Job, entry: Entry, made: Path, arrived: Arrived) -> None:
    """Put one file of the store below ``made``, an archive unpacked."""
    part = entry.key[len(job.name) + 1 :]
    if part in UNPACKED:
        with downloaded(job, entry.key, made.parent / "archive", arrived) as archive:
            try:
                archives.unpack(archive, made / UNPACKED[part])
            except UserError as error:
                raise UserError(str(error).replace(str(archive), f"{job.store.url}/{entry.key}", 1)) from None
        return
    (made / part).parent.mkdir(parents=True, exist_ok=True)
    # a running job may have removed it since
    with suppress(FileNotFoundError), downloaded(job, entry.key, made.parent / "file", arrived) as file:
        shutil.copyfile(file, made / part)


def note(job: Job) -> bytes:
    """Write the content of fetched.json: the job's record, less what is true only where it runs."""
    record = {key: value for key, value in job.record.items() if key != "Local"}
    fetched = {"From": f"{job.store.url}/{job.name}", "At": datetime.now(timezone.utc).isoformat()}
    content: Dict[str, Any] = {"TrainingJobName": job.name, **record, "Fetched": fetched}
    return (json.dumps(content, indent=2) + "\n").encode()


def swap(pairs: Sequence[Tuple[Path, Path]], old: Path) -> None:
    """Rename each new path to its place; what was there goes below ``old``. All of them or none."""
    old.mkdir()
    done: List[Tuple[Path, Path, Path]] = []
    try:
        for number, (new, place) in enumerate(pairs):
            before = old / str(number)
            place.parent.mkdir(parents=True, exist_ok=True)
            done.append((new, place, before))
            if os.path.lexists(place):
                os.replace(place, before)
            os.replace(new, place)
    except BaseException:
        for new, place, before in reversed(done):
            if not new.exists():
                os.replace(place, new)
            if before.exists():
                os.replace(before, place)
        raise


def summary(home: Path) -> List[str]:
    """Write a line for each thing of a job that a person opens."""
    lines = []
    for part in (*UNPACKED.values(), Path(layout.LIVE)):
        found = [path for path in (home / part).rglob("*") if path.is_file()]
        if found:
            size = sum(path.stat().st_size for path in found)
            lines.append(f"{short_path(home / part)}  {count(len(found), 'file')}, {in_bytes(size)}")
    for part in (UNPACKED[layout.OUTPUT], Path(layout.LIVE)):
        if (home / part / layout.REPORT).exists():
            videos = len(list((home / part / "videos").glob("*.mp4")))
            with_videos = f"  with {count(videos, 'video')}" if videos else ""
            return [*lines, f"{short_path(home / part / 'report.html')}{with_videos}"]
    return lines
