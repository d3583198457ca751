"""What a fault is, and those that are done to a job's processes, environment and files."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Callable, Dict, Optional, Sequence

import psutil

from tests.chaos.job import Job
from tests.chaos.places import ALONE, WITH_WORKER
from tests.waiting import until

Deed = Callable[[Any], object]
"""Does something to a job, or waits for something of it."""


@dataclass(frozen=True)
class Fault:
    """What is done to a job.

    Attributes:
        strike: does it, once ``moment`` has come.
        moment: waits for it after a start; by default some iterations are done.
        places: where the job runs that it is done to: one of these.
        goes_on: the job is not to end by it, and is stopped afterwards by SIGTERM.
        statuses: the exit statuses that are right, where it ends.
        state: what job.json says in the end; by default what goes with the exit status.
        after: what is done once the job has ended, before it is looked into.
        most_s: seconds in which the job has ended.
    """

    strike: Deed
    moment: Deed = Job.await_iterations
    places: Sequence[str] = (ALONE, WITH_WORKER)
    goes_on: bool = False
    statuses: Sequence[int] = (1,)
    state: Optional[str] = None
    after: Deed = lambda job: None
    most_s: float = 60.0


def sends(number: int) -> Deed:
    """Signals local mode, as a terminal, an engine or SageMaker does."""
    return lambda job: job.process.send_signal(number)


def twice(number: int, wait_for: str = "") -> Deed:
    """Does it once more, at once or when a line has been printed."""

    def strike(job: Job) -> None:
        job.process.send_signal(number)
        until(lambda: job.ended() or job.saw(wait_for or "the job has "), 30)
        with suppress(psutil.NoSuchProcess):
            job.process.send_signal(number)

    return strike


def kills(part: str, number: int = signal.SIGKILL) -> Deed:
    """Kills one of the job's processes."""
    return lambda job: job.named(part).send_signal(number)


def asks_environment(what: str) -> Deed:
    """Has the environment do it at one of its next steps."""
    return lambda job: (job.faults / what).touch()


def calm(job: Job) -> None:
    """Has the environment do as it should."""
    for asked in job.faults.iterdir():
        asked.unlink()


def pauses(part: str) -> Deed:
    """Stops one of the job's processes for some iterations of the others', or for a while."""

    def strike(job: Job) -> None:
        paused = job.named(part)
        paused.suspend()
        before = job.iterations()
        with suppress(AssertionError):  # what waits for it does no more iterations
            until(lambda: job.iterations() > before + 2, 3)
        with suppress(psutil.NoSuchProcess):
            paused.resume()
        job.await_iterations(3)

    return strike


def tears(size: int) -> Deed:
    """Cuts the newest checkpoint of the store, as a machine that loses its power does."""

    def after(job: Job) -> None:
        os.truncate(str(job.kept()[-1].path), size)

    return after


def spoils_metrics(job: Job) -> None:
    """Breaks the last line of the metrics in the middle."""
    file = job.directory / "checkpoints" / "metrics.jsonl"
    os.truncate(str(file), file.stat().st_size - 20)


def in_the_making(job: Job) -> None:
    until(lambda: job.ended() or list(job.base.glob("checkpoints/.tmp-checkpoint/*")), 120)


def starting(what: str) -> Deed:
    """Waits for a file of the job's, or a process, that is there early."""
    if what.startswith("ray"):
        return lambda job: until(lambda: job.ended() or job.named(what), 120)
    return lambda job: until(lambda: job.ended() or (job.base / "output/intermediate" / what).exists(), 120)


STOPPED = (143,)
FAULTS: Dict[str, Fault] = {
    "SIGTERM while it is checked": Fault(sends(signal.SIGTERM), starting("train.log"), statuses=STOPPED),
    "SIGTERM while Ray starts": Fault(
        sends(signal.SIGTERM), starting("raylet"), places=(WITH_WORKER,), statuses=STOPPED
    ),
    "SIGTERM while the trainer is built": Fault(sends(signal.SIGTERM), starting("params.json"), statuses=STOPPED),
    "SIGTERM while it trains": Fault(sends(signal.SIGTERM), statuses=STOPPED, most_s=30),
    "SIGTERM while it saves": Fault(sends(signal.SIGTERM), in_the_making, statuses=STOPPED, most_s=30),
    "SIGTERM twice": Fault(twice(signal.SIGTERM), statuses=STOPPED, most_s=30),
    "SIGTERM while it exports": Fault(twice(signal.SIGTERM, "exporting"), statuses=STOPPED, most_s=30),
    "Ctrl-C": Fault(sends(signal.SIGINT), statuses=(130,), most_s=30),
    "Ctrl-C twice": Fault(twice(signal.SIGINT), statuses=(130,), most_s=30),
    "kill -9 of the trainer": Fault(lambda job: job.trainer().kill()),
    "kill -9 of what is told of stops": Fault(lambda job: job.process.children()[0].kill()),
    "kill -9 of local mode": Fault(sends(signal.SIGKILL), statuses=(-9,)),
    "kill -9 of the videos' process": Fault(kills("video_process"), goes_on=True),
    "kill -9 of a worker": Fault(kills("ray::Rollout"), places=(WITH_WORKER,)),
    "kill -9 of the raylet": Fault(kills("raylet"), places=(WITH_WORKER,)),
    "kill -9 of redis": Fault(kills("redis-server"), places=(WITH_WORKER,)),
    "kill -9 of gcs_server": Fault(kills("gcs_server"), places=(WITH_WORKER,), goes_on=True),
    "kill -9 of the object store": Fault(kills("plasma_store"), places=(WITH_WORKER,)),
    "a worker is paused": Fault(pauses("ray::Rollout"), places=(WITH_WORKER,), goes_on=True),
    "the videos' process is paused": Fault(pauses("video_process"), goes_on=True),
    "the environment raises": Fault(asks_environment("raise"), statuses=(1, 2), after=calm),
    "the environment hangs": Fault(asks_environment("hang"), statuses=(1, 2), after=calm),
    "the environment exits": Fault(asks_environment("exit"), places=(ALONE,), after=calm),
    "the environment gives NaN": Fault(asks_environment("nan"), statuses=(1, 2), after=calm),
    "the newest checkpoint is torn": Fault(sends(signal.SIGTERM), statuses=STOPPED, after=tears(100), most_s=30),
    "the newest checkpoint is empty": Fault(sends(signal.SIGTERM), statuses=STOPPED, after=tears(0), most_s=30),
    "a line of the metrics is torn": Fault(sends(signal.SIGTERM), statuses=STOPPED, after=spoils_metrics, most_s=30),
}
