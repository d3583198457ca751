"""`scripts/watch`: a job's state, log, reward curve, videos and report as they come, until it ends."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Sequence

from rl_app import metric_definitions, sagemaker
from rl_app.errors import JobError, UserError
from rl_app.store import DirectoryStore, Entry
from scripts import aws, cloud, fetching, stores
from scripts.environments import ROOT, SetUpError
from scripts.stores import FETCHED, Job

ENDED = ("Completed", "Failed", "Stopped")
LOG_GROUP = "/aws/sagemaker/TrainingJobs"
CLOUD_S = 5.0  # between two looks at a job
LOCAL_S = 1.0
RUNS = ROOT / "runs"
WIDTH = 60
BARS = "▁▂▃▄▅▆▇█"

EXAMPLES = """
examples:
  scripts/watch cartpole-2026-01-31-12-00-00      a job of this machine's stores, else of SageMaker
  scripts/watch first --store runs                a job of scripts/train, in this store
  scripts/watch first --cloud | tee first.log     a job of SageMaker; its log goes to standard output

The state, the reward curve and the names of new files go to standard error. The report and the videos of a job that
is kept elsewhere are brought into runs/JOB/output/intermediate. Ctrl-C ends the watching, never the job.
Exit status: 0 the job is completed, 1 it failed or was stopped, 2 refused, 130 by Ctrl-C.
"""

Pause = Callable[[float], None]


def main(arguments: Sequence[str], open_session: Callable[[], Any] = aws.session) -> int:
    """Follows one job to its end; returns the exit status."""
    options = parse(arguments)
    try:
        sagemaker.check_job_name(options.job)
        job = None if options.cloud else local_job(options.job, options.store)
        if job:
            return follow_local(job, Path(options.into).absolute())
        if not options.cloud:
            aws.note(f"{options.job}: in no store of this machine; asking SageMaker")
        return follow_cloud(options.job, open_session(), Path(options.into).absolute())
    except (UserError, JobError, SetUpError) as error:
        print(error, file=sys.stderr)
        return error.errno
    except KeyboardInterrupt:
        return 130


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="scripts/watch",
        description="Follow a job to its end.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("job", metavar="JOB", help="the job's name")
    parser.add_argument("--into", metavar="DIR", default=str(RUNS), help="where report and videos go; default: runs")
    stores.add_place(parser)
    return parser.parse_args(list(arguments))


def local_job(name: str, store: Optional[str]) -> Optional[Job]:
    """The job of a store of this machine; None where none has it, unless the store was named.

    Raises:
        UserError: the named store has no such job.
    """
    if store:
        return stores.find(name, store)
    found = [stores.look_up(name, place) for place in stores.open_places().open]
    return next((job for job in found if job and job.record), None)


class Screen:
    """Log lines on standard output; the state and, on a terminal, a curve that grows, on standard error."""

    def __init__(self) -> None:
        self.rewards: List[float] = []
        self.live = sys.stderr.isatty()

    def log(self, line: str) -> None:
        """One line of the job's log."""
        self._erase()
        print(line, flush=True)
        reward = metric_definitions.found(line).get("episode_reward_mean")
        if reward is not None:
            self.rewards.append(reward)
        self._draw()

    def say(self, line: str) -> None:
        """One line about the job."""
        self._erase()
        print(line, file=sys.stderr, flush=True)
        self._draw()

    def close(self) -> None:
        """Leaves the curve, if there is one."""
        self._erase()
        self.live = False
        if self.rewards:
            print(curve(self.rewards), file=sys.stderr, flush=True)

    def _erase(self) -> None:
        if self.live:
            print("\r\033[K", end="", file=sys.stderr, flush=True)

    def _draw(self) -> None:
        if self.live and self.rewards:
            print(curve(self.rewards), end="", file=sys.stderr, flush=True)


def curve(rewards: Sequence[float], width: int = WIDTH) -> str:
    """The mean reward over the iterations in one line of bars."""
    parts = min(width, len(rewards))
    cuts = [index * len(rewards) // parts for index in range(parts + 1)]
    means = [sum(rewards[start:end]) / (end - start) for start, end in zip(cuts, cuts[1:])]
    low, high = min(means), max(means)
    span = (high - low) or 1.0
    bars = "".join(BARS[int((mean - low) / span * (len(BARS) - 1))] for mean in means)
    return f"episode_reward_mean  {rewards[0]:.1f} {bars} {rewards[-1]:.1f}"


# ---- what a job leaves while it runs ----


class Arrivals:
    """The report and the videos of a job, brought to this machine as they appear in its store."""

    def __init__(self, job: Job, into: Path) -> None:
        self.job = job
        self.into = into
        self.folder = f"{job.name}/output/intermediate"
        self.seen: Dict[str, Entry] = {}
        self.trouble = ""

    def fresh(self) -> Iterator[str]:
        """A line for each that is new; one that has changed is brought without a word."""
        try:
            for entry in self.job.store.list(self.folder):
                if self.seen.get(entry.key) != entry and is_shown(entry.key[len(self.folder) + 1 :]):
                    path = self.bring(entry)
                    if entry.key not in self.seen:
                        yield f"new: {stores.shown(path)}"
                    self.seen[entry.key] = entry
            self.trouble = ""
        except FileNotFoundError:  # replaced since it was listed
            return
        except (UserError, JobError, OSError) as error:
            if str(error) != self.trouble:  # no reason to leave the job's log
                self.trouble = str(error)
                yield f"report and videos: {error}"

    def bring(self, entry: Entry) -> Path:
        """Where the file is on this machine now. Raises UserError, JobError, OSError."""
        store = self.job.store
        if isinstance(store, DirectoryStore):
            return store.root / entry.key
        home = self.into / self.job.name
        fetching.check_home(home)
        if not home.exists():
            DirectoryStore(self.into).write(f"{self.job.name}/{FETCHED}", fetching.as_json(fetching.note(self.job)))
        store.download(entry.key, self.into / entry.key)
        return self.into / entry.key


def is_shown(name: str) -> bool:
    """Whether a person opens the file."""
    return name == "report.html" or (name.startswith("videos/") and name.endswith(".mp4"))


# ---- a job of SageMaker's ----


def follow_cloud(name: str, session: Any, into: Path = RUNS, pause: Pause = time.sleep) -> int:
    """Follows a job of SageMaker's to its end; returns the exit status.

    Raises:
        UserError: there is no such job, or AWS refuses to tell. While AWS does not answer, it is asked again.
    """
    screen = Screen()
    try:
        job = until_ended(name, session, into, screen, pause)
    except KeyboardInterrupt:
        screen.close()
        aws.note(goes_on(name))
        return 130
    screen.close()
    for line in ending(job):
        aws.note(line)
    return 0 if job["TrainingJobStatus"] == "Completed" else 1


def until_ended(name: str, session: Any, into: Path, screen: Screen, pause: Pause) -> Mapping[str, Any]:
    """Shows what is new until the job has ended; returns its last description."""
    service, s3 = aws.client(session, "sagemaker"), aws.client(session, "s3")
    log = Log(name, aws.client(session, "logs"))
    arrivals: Optional[Arrivals] = None
    seen, trouble = None, False
    while True:
        try:
            job = cloud.describe(name, service)
            arrivals = arrivals or Arrivals(cloud.as_job(job, s3), into)
            state = state_of(job)
            if state != seen:
                screen.say(f"{name}: {state}")
                seen = state
            for line in log.fresh():
                screen.log(line)
            for line in arrivals.fresh():
                screen.say(line)
            if job["TrainingJobStatus"] in ENDED:
                return job
            trouble = False
        except JobError as error:
            if not trouble:
                screen.say(f"{error}; asking again")
            trouble = True
        pause(CLOUD_S)


def goes_on(name: str) -> str:
    """What is said of a job that is not watched any more."""
    return f"{name} goes on; `scripts/stop {name}` stops it, `scripts/watch {name}` follows it again"


def state_of(job: Mapping[str, Any]) -> str:
    """The job's state in a line, with SageMaker's own words about it."""
    status, secondary = job["TrainingJobStatus"], job.get("SecondaryStatus", "")
    message = (job.get("SecondaryStatusTransitions") or [{}])[-1].get("StatusMessage", "")
    detail = "" if secondary in ("", status) else f", {secondary}"
    return f"{status}{detail}{f' ({message})' if message else ''}"


class Log:
    """The lines of a job in CloudWatch, each once."""

    def __init__(self, name: str, logs: Any) -> None:
        self.name = name
        self.logs = logs
        self.tokens: Dict[str, Optional[str]] = {}  # where to read on, by stream

    def fresh(self) -> Iterator[str]:
        """The lines that were not given before. Raises UserError, JobError."""
        with aws.told(f"log of {self.name}"):
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
            place: Dict[str, Any] = {"nextToken": before} if before else {"startFromHead": True}
            with aws.told(f"log of {self.name}"):
                page = self.logs.get_log_events(logGroupName=LOG_GROUP, logStreamName=stream, **place)
            # Kept before the lines are given: a line twice would be a reward twice.
            self.tokens[stream] = page["nextForwardToken"]
            yield from (event["message"] for event in page["events"])
            if page["nextForwardToken"] == before or not page["events"]:
                return


def ending(job: Mapping[str, Any]) -> Iterator[str]:
    """How a job ended, in lines."""
    seconds, billed = job.get("TrainingTimeInSeconds"), job.get("BillableTimeInSeconds")
    times = f" after {seconds} s" if seconds is not None else ""
    paid = f", {billed} s billed" if billed is not None else ""
    yield f"{job['TrainingJobName']}: {state_of(job)}{times}{paid}"
    if job.get("FailureReason"):
        yield f"  why    {' '.join(str(job['FailureReason']).split())}"
    model = job.get("ModelArtifacts", {}).get("S3ModelArtifacts")
    if model:
        yield f"  model  {model}"


# ---- a job of this machine ----


def follow_local(job: Job, into: Path = RUNS, pause: Pause = time.sleep) -> int:
    """Follows a job that is kept in a store of this machine; returns the exit status. Raises JobError."""
    screen, seen = Screen(), ""
    log, arrivals = StoredLog(job), Arrivals(job, into)
    key = f"{job.name}/job.json"
    try:
        while True:
            record = stores.read_record(job.store, key) or job.record
            job = Job(job.name, job.place, record)
            if state_of(record) != seen:
                seen = state_of(record)
                screen.say(f"{job.name}: {seen}")
            for line in log.fresh():
                screen.log(line)
            for line in arrivals.fresh():
                screen.say(line)
            if job.state in ENDED or job.silent_s is not None:
                break
            pause(LOCAL_S)
    except KeyboardInterrupt:
        screen.close()
        aws.note(goes_on(job.name))
        return 130
    screen.close()
    if job.silent_s is not None:
        aws.note(f"{job.name}: no sign of life for {job.silent_s:.0f} s; `scripts/train --resume {job.name}` goes on")
        return 1
    for line in ending(record):
        aws.note(line)
    return 0 if job.state == "Completed" else 1


class StoredLog:
    """The lines of a job's train.log in its store, each once."""

    def __init__(self, job: Job) -> None:
        self.store = job.store
        self.folder = f"{job.name}/output/intermediate"
        self.size = 0
        self.given = 0  # bytes

    def fresh(self) -> List[str]:
        """The whole lines that were not given before. Raises JobError."""
        sizes = {entry.key: entry.size for entry in self.store.list(self.folder)}
        file = f"{self.folder}/train.log"
        if sizes.get(file, 0) == self.size:
            return []
        self.size = sizes[file]
        content = self.store.read(file)
        end = content.rfind(b"\n") + 1
        lines = content[self.given : end].decode("utf-8", "replace").splitlines()
        self.given = end
        return lines
