"""`scripts/watch`: a job's state, log and reward curve as they come, wherever it runs, until it ends."""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Sequence

from rl_app import metric_definitions, sagemaker
from rl_app.errors import JobError, UserError
from scripts import aws, stores
from scripts.environments import SetUpError

ENDED = ("Completed", "Failed", "Stopped")
LOG_GROUP = "/aws/sagemaker/TrainingJobs"
CLOUD_S = 5.0  # between two looks at a job
LOCAL_S = 1.0
WIDTH = 60
BARS = "▁▂▃▄▅▆▇█"

EXAMPLES = """
examples:
  scripts/watch cartpole-2026-01-31-12-00-00      a job of this machine's stores, else of SageMaker
  scripts/watch first --store runs                a job of scripts/train, in this store
  scripts/watch first --cloud | tee first.log     a job of SageMaker; its log goes to standard output

The state and the reward curve go to standard error. Ctrl-C ends the watching, never the job.
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
            return follow_local(job)
        if not options.cloud:
            aws.note(f"{options.job}: in no store of this machine; asking SageMaker")
        return follow_cloud(options.job, open_session())
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
    place = parser.add_mutually_exclusive_group()
    place.add_argument("--store", metavar="URL", help="where scripts/train keeps the job")
    place.add_argument("--cloud", action="store_true", help="the job is SageMaker's")
    return parser.parse_args(list(arguments))


def local_job(name: str, store: Optional[str]) -> Optional[stores.Job]:
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


# ---- a job of SageMaker's ----


def follow_cloud(name: str, session: Any, pause: Pause = time.sleep) -> int:
    """Follows a job of SageMaker's to its end; returns the exit status.

    Raises:
        UserError: there is no such job, or AWS refuses to tell. While AWS does not answer, it is asked again.
    """
    screen = Screen()
    try:
        job = until_ended(name, aws.client(session, "sagemaker"), Log(name, aws.client(session, "logs")), screen, pause)
    except KeyboardInterrupt:
        screen.close()
        aws.note(f"{name} goes on; `scripts/stop {name}` stops it, `scripts/watch {name}` follows it again")
        return 130
    screen.close()
    for line in ending(job):
        aws.note(line)
    return 0 if job["TrainingJobStatus"] == "Completed" else 1


def until_ended(name: str, service: Any, log: Log, screen: Screen, pause: Pause) -> Mapping[str, Any]:
    """Shows what is new until the job has ended; returns its last description."""
    seen, trouble = None, False
    while True:
        try:
            job = describe(name, service)
            state = state_of(job)
            if state != seen:
                screen.say(f"{name}: {state}")
                seen = state
            for line in log.fresh():
                screen.log(line)
            if job["TrainingJobStatus"] in ENDED:
                return job
            trouble = False
        except JobError as error:
            if not trouble:
                screen.say(f"{error}; asking again")
            trouble = True
        pause(CLOUD_S)


def describe(name: str, service: Any) -> Mapping[str, Any]:
    """DescribeTrainingJob. Raises UserError, JobError."""
    with aws.told(f"job {name}"):
        answer: Mapping[str, Any] = service.describe_training_job(TrainingJobName=name)
        return answer


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


def follow_local(job: stores.Job, pause: Pause = time.sleep) -> int:
    """Follows a job that is kept in a store of this machine; returns the exit status. Raises JobError."""
    screen, seen = Screen(), ""
    log = StoredLog(job)
    key = f"{job.name}/job.json"
    try:
        while True:
            record = stores.read_record(job.store, key) or job.record
            job = stores.Job(job.name, job.place, record)
            if state_of(record) != seen:
                seen = state_of(record)
                screen.say(f"{job.name}: {seen}")
            for line in log.fresh():
                screen.log(line)
            if job.state in ENDED or job.silent_s is not None:
                break
            pause(LOCAL_S)
    except KeyboardInterrupt:
        screen.close()
        aws.note(f"{job.name} goes on; {how_to_stop(record)} stops it")
        return 130
    screen.close()
    if job.silent_s is not None:
        aws.note(f"{job.name}: no sign of life for {job.silent_s:.0f} s; `scripts/train --resume {job.name}` goes on")
        return 1
    for line in ending(record):
        aws.note(line)
    return 0 if job.state == "Completed" else 1


def how_to_stop(record: Mapping[str, Any]) -> str:
    """What stops a job of this machine."""
    local = record.get("Local", {})
    processes = " ".join(local.get("Processes", {}))
    return f"Ctrl-C where it was started, or `kill {processes}` on {local.get('Host')},"


class StoredLog:
    """The lines of a job's train.log in its store, each once."""

    def __init__(self, job: stores.Job) -> None:
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
