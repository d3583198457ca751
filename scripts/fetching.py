"""`scripts/fetch`: a job's model, output and videos, unpacked on this machine."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, NoReturn, Optional, Sequence, Tuple

from rl_app.errors import JobError, UserError
from rl_app.store import DirectoryStore, Entry
from scripts import archives, aws, cloud, environments, stores
from scripts.environments import ROOT
from scripts.stores import FETCHED, Job

EXAMPLES = """
examples:
  scripts/fetch first                           into runs/first, from whichever store has it
  scripts/fetch first --store compose           from the MinIO that docker-compose.yml starts
  scripts/fetch first --store s3://bucket/prefix --into elsewhere
  scripts/fetch cartpole-2026-01-31-12-00-00 --cloud     a job of SageMaker's, from wherever it says its files are

What is there afterwards, as in the container's /opt/ml:
  runs/JOB/model/                 the exported policy, unpacked
  runs/JOB/output/data/           report.html, videos/, metrics.jsonl, TensorBoard's events, unpacked
  runs/JOB/output/intermediate/   the same of a job that still runs, as far as it has come
  runs/JOB/fetched.json           of a job that is kept elsewhere: from where and when, and its job.json
A second fetch puts the newer in the place of the older. Nothing changes before all has arrived.
Exit status: 0 done, 1 failed, 2 refused, 130 or 143 stopped by a signal.
"""

MODEL = "output/model.tar.gz"
OUTPUT = "output/output.tar.gz"
INTERMEDIATE = "output/intermediate"
UNPACKED = {MODEL: Path("model"), OUTPUT: Path("output", "data")}


def main(arguments: Sequence[str], open_session: Callable[[], Any] = aws.session) -> int:
    """Fetches one job; returns the exit status."""
    options = parse(arguments)
    signal.signal(signal.SIGTERM, stop)
    try:
        into = Path(options.into).absolute()
        job = cloud.find(options.job, open_session()) if options.cloud else stores.find(options.job, options.store)
        with alone(into):
            for path in fetch(job, into):
                print(path)
    except (UserError, JobError, environments.SetUpError) as error:
        print(error, file=sys.stderr)
        return error.errno
    except OSError as error:  # of this machine's disk: full, not writable, …
        print(f"{error.filename or options.into}: {error.strerror or error}; nothing was changed", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="scripts/fetch",
        description="Bring a job's model, output and videos here, unpacked, whole or not at all.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("job", metavar="JOB", help="the job's name; `scripts/jobs` lists them")
    parser.add_argument("--into", metavar="DIR", default=str(ROOT / "runs"), help="default: runs")
    stores.add_place(parser)
    return parser.parse_args(list(arguments))


def stop(number: int, _: Any) -> NoReturn:
    """Ends the script as an error would: what it has made is removed."""
    sys.exit(128 + number)


def fetch(job: Job, into: Path) -> List[str]:
    """Puts what the job left into ``into/JOB`` and returns a line for each thing that is there now.

    Raises:
        UserError: nothing to fetch; something else is there; an archive is no good.
    """
    home = into / job.name
    own = isinstance(job.store, DirectoryStore) and job.store.root == into
    if own and (home / FETCHED).exists():
        raise UserError(f"{job.name}: {home} is the copy that was fetched, and its own store is not there now")
    if not own:
        check_home(home)
    wanted = choose(job, own)
    if not wanted:
        if own and (home / INTERMEDIATE).is_dir():
            return summary(home)
        raise UserError(f"{job.name}: {job.place.name} has no model and no output of it{because(job)}")
    with tempfile.TemporaryDirectory(prefix=".tmp-fetch-", dir=into) as folder:
        with Arrivals(wanted) as arrivals:
            made = Path(folder) / "job"
            for entry in wanted:
                bring(job, entry, made, arrivals.of(entry))
        if own:
            pairs = [(made / part, home / part) for part in UNPACKED.values() if (made / part).exists()]
        else:
            (made / FETCHED).write_bytes(as_json(note(job)))
            pairs = [(made, home)]
        give_to_owner(made, into)
        swap(pairs, Path(folder) / "old")
    return summary(home)


def check_home(home: Path) -> None:
    """Refuses to replace what is not a copy that was fetched."""
    if (home / "job.json").exists():
        raise UserError(f"{home}: a job of this name was made there; --into DIR takes another directory")
    if home.exists() and not (home / FETCHED).exists():
        raise UserError(f"{home}: was not made by scripts/fetch; move it away, or --into DIR takes another directory")


def choose(job: Job, own: bool) -> List[Entry]:
    """The files of the store to fetch: the archives, and the live files where there is no final output.

    ``own``: the job is kept where its files are to be, and its live files are there.
    """
    known = {entry.key: entry for entry in job.store.list(f"{job.name}/output")}
    final = [known[key] for key in (f"{job.name}/{part}" for part in (MODEL, OUTPUT)) if key in known]
    live = [entry for key, entry in known.items() if key.startswith(f"{job.name}/{INTERMEDIATE}/")]
    finished = f"{job.name}/{OUTPUT}" in known and job.state != "InProgress"
    return final if own or finished else final + live


def because(job: Job) -> str:
    """What the record says about a job that left nothing."""
    reason = job.record.get("FailureReason")
    return f" ({job.state}{f': {reason}' if reason else ''})" if job.state else ""


def bring(job: Job, entry: Entry, made: Path, arrived: Callable[[int], None]) -> None:
    """Puts one file of the store below ``made``, an archive unpacked."""
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


@contextmanager
def downloaded(job: Job, key: str, path: Path, arrived: Callable[[int], None]) -> Iterator[Path]:
    """A file of the store, at ``path`` or where it is on this machine anyway."""
    if isinstance(job.store, DirectoryStore):
        file = job.store.root / key
        arrived(file.stat().st_size)
        yield file
        return
    job.store.download(key, path, arrived)
    try:
        yield path
    finally:
        path.unlink()


def note(job: Job) -> Dict[str, Any]:
    """The content of fetched.json: the job's record, less what is true only where it runs."""
    record = {key: value for key, value in job.record.items() if key != "Local"}
    at = datetime.now(timezone.utc).isoformat()
    return {"TrainingJobName": job.name, **record, "Fetched": {"From": f"{job.store.url}/{job.name}", "At": at}}


def as_json(content: Dict[str, Any]) -> bytes:
    """As the files of a job have it."""
    return (json.dumps(content, indent=2) + "\n").encode()


def swap(pairs: Sequence[Tuple[Path, Path]], old: Path) -> None:
    """Renames each new path to its place; what was there goes below ``old``. All of them or none."""
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


def give_to_owner(made: Path, into: Path) -> None:
    """What root fetches into the directory of another is that other's."""
    owner = into.stat()
    if os.geteuid() == 0 != owner.st_uid:
        for path in (made, *made.rglob("*")):
            os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


def summary(home: Path) -> List[str]:
    """A line for each thing of a job that a person opens."""
    lines = []
    for part in (*UNPACKED.values(), Path(INTERMEDIATE)):
        files = [path for path in (home / part).rglob("*") if path.is_file()]
        if files:
            size = sum(path.stat().st_size for path in files)
            lines.append(f"{stores.shown(home / part)}  {count(len(files), 'file')}, {in_bytes(size)}")
    for part in (UNPACKED[OUTPUT], Path(INTERMEDIATE)):
        if (home / part / "report.html").exists():
            videos = len(list((home / part / "videos").glob("*.mp4")))
            shown = f"  with {count(videos, 'video')}" if videos else ""
            return [*lines, f"{stores.shown(home / part / 'report.html')}{shown}"]
    return lines


def count(number: int, what: str) -> str:
    """`1 file`, `2 files`."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def in_bytes(size: float) -> str:
    """A size as a person reads it."""
    for unit in ("bytes", "KB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


@contextmanager
def alone(into: Path) -> Iterator[None]:
    """Makes the directory and holds it: one fetch at a time, which may clear up after one that was killed."""
    import fcntl

    if into.exists() and not into.is_dir():
        raise UserError(f"--into {into}: is not a directory")
    into.mkdir(parents=True, exist_ok=True)
    held = os.open(into, os.O_RDONLY)
    try:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"another fetch into {stores.shown(into)} is at work: waiting for it", file=sys.stderr)
            fcntl.flock(held, fcntl.LOCK_EX)
        for left in into.glob(".tmp-fetch-*"):
            shutil.rmtree(left)
        yield
    finally:
        os.close(held)


class Arrivals:
    """Shows on stderr what arrives: a bar on a terminal, a line a file elsewhere."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.total = sum(entry.size for entry in entries)
        self.bar: Optional[Any] = None
        self.task: Any = None

    def __enter__(self) -> Arrivals:
        with suppress(ImportError):  # rich is there with boto3; a directory's files need no bar
            from rich.console import Console
            from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

            console = Console(stderr=True)
            if console.is_terminal:
                columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
                self.bar = Progress(*columns, console=console, transient=True)
                self.task = self.bar.add_task("", total=self.total)
                self.bar.start()
        return self

    def __exit__(self, *_: Any) -> None:
        if self.bar:
            self.bar.stop()

    def of(self, entry: Entry) -> Callable[[int], None]:
        """Says that the file comes now; returns what is to be told the bytes of it that have arrived."""
        if self.bar is None:
            print(f"{entry.key}  {in_bytes(entry.size)}", file=sys.stderr, flush=True)
            return lambda size: None
        bar = self.bar
        bar.update(self.task, description=entry.key)
        return lambda size: bar.advance(self.task, size)
