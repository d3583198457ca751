"""What a job leaves while it runs: the lines of its log, its report and its videos, each as it comes."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional

from rl_app.errors import JobError, UserError
from rl_app.storage import layout
from rl_app.storage.base import Entry
from rl_app.storage.directory import DirectoryStore
from scripts.lib import aws, fetching
from scripts.lib.jobs import FETCHED, Job
from scripts.lib.wording import short_path

LOG_GROUP = "/aws/sagemaker/TrainingJobs"


class LiveFiles:
    """The report and the videos of a job, brought to this machine as they appear in its store."""

    def __init__(self, job: Job, into: Path) -> None:
        self.job = job
        self.into = into
        self.folder = f"{job.name}/{layout.LIVE}"
        self.seen: Dict[str, Entry] = {}
        self.trouble = ""

    def fresh(self) -> Iterator[str]:
        """Yield a line for each that is new; one that has changed is brought without a word."""
        try:
            for entry in self.job.store.list(self.folder):
                if self.seen.get(entry.key) != entry and is_for_people(entry.key[len(self.folder) + 1 :]):
                    path = self.bring(entry)
                    if entry.key not in self.seen:
                        yield f"new: {short_path(path)}"
                    self.seen[entry.key] = entry
            self.trouble = ""
        except FileNotFoundError:  # replaced since it was listed
            return
        except (UserError, JobError, OSError) as error:
            if str(error) != self.trouble:  # no reason to leave the job's log
                self.trouble = str(error)
                yield f"report and videos: {error}"

    def bring(self, entry: Entry) -> Path:
        """Return where the file is on this machine now. Raises UserError, JobError, OSError."""
        store = self.job.store
        if isinstance(store, DirectoryStore):
            return store.root / entry.key
        home = self.into / self.job.name
        fetching.check_home(home)
        if not home.exists():
            DirectoryStore(self.into).write(f"{self.job.name}/{FETCHED}", fetching.note(self.job))
        store.download(entry.key, self.into / entry.key)
        return self.into / entry.key


def is_for_people(name: str) -> bool:
    """Tell whether a person opens the file."""
    return name == layout.REPORT or (name.startswith("videos/") and name.endswith(".mp4"))


class StoredLog:
    """The lines of a job's train.log in its store, each once."""

    def __init__(self, job: Job) -> None:
        self.store = job.store
        self.folder = f"{job.name}/{layout.LIVE}"
        self.size = 0
        self.given = 0  # bytes

    def fresh(self) -> List[str]:
        """Return the whole lines that were not given before. Raises JobError."""
        file = f"{self.folder}/{layout.LOG}"
        size = next((entry.size for entry in self.store.list(self.folder) if entry.key == file), 0)
        if size == self.size:
            return []
        try:
            content = self.store.read(file)
        except FileNotFoundError:  # removed since it was seen
            return []
        self.size = size
        end = content.rfind(b"\n") + 1
        lines = content[self.given : end].decode("utf-8", "replace").splitlines()
        self.given = end
        return lines


class CloudWatchLog:
    """The lines of a job in CloudWatch, each once."""

    def __init__(self, name: str, logs: Any) -> None:
        self.name = name
        self.logs = logs
        self.tokens: Dict[str, Optional[str]] = {}  # where to read on, by stream

    def fresh(self) -> Iterator[str]:
        """Yield the lines that were not given before. Raises UserError, JobError."""
        with aws.translate_errors(f"log of {self.name}"):
            streams = self._streams()
        for stream in streams:
            yield from self._lines(stream)

    def _streams(self) -> List[str]:
        try:
            asked = self.logs.describe_log_streams(logGroupName=LOG_GROUP, logStreamNamePrefix=f"{self.name}/")
        except self.logs.exceptions.ResourceNotFoundException:
            return []  # the account's first job has not logged yet
        return sorted(stream["logStreamName"] for stream in asked["logStreams"])

    def _lines(self, stream: str) -> Iterator[str]:
        while True:
            before = self.tokens.get(stream)
            start: Dict[str, Any] = {"nextToken": before} if before else {"startFromHead": True}
            with aws.translate_errors(f"log of {self.name}"):
                page = self.logs.get_log_events(logGroupName=LOG_GROUP, logStreamName=stream, **start)
            # Kept before the lines are given: a line twice would be a reward twice.
            self.tokens[stream] = page["nextForwardToken"]
            yield from (event["message"] for event in page["events"])
            if page["nextForwardToken"] == before or not page["events"]:
                return
