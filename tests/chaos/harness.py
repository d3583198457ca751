"""Does a seeded schedule of faults to jobs, and checks after each what must hold."""

from __future__ import annotations

import pickle
import random
import signal
import tarfile
import tempfile
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from subprocess import TimeoutExpired
from typing import Callable, Dict, Iterator, List, Mapping, Sequence, Tuple

from rl_app.policy.policy import Policy
from rl_app.storage.artifacts import opened
from tests.chaos import faults as process_faults
from tests.chaos import host_faults, store_faults
from tests.chaos.faults import Fault
from tests.chaos.job import Job
from tests.chaos.places import PLACES, Jobs

FAULTS: Dict[str, Fault] = {**process_faults.FAULTS, **store_faults.FAULTS, **host_faults.FAULTS}
FAMILY_S = 20.0
"""Seconds in which a job's processes have ended after it."""
AT_MOST_BACK = 1
"""Checkpoints that a fault may cost; one is saved each iteration."""


@dataclass
class Tally:
    """What a kind of fault did, each time.

    Attributes:
        times: how often it was done.
        survived: how often nothing was wrong.
        seconds: from it to the job's end; where the job is to go on, from SIGTERM afterwards.
        pauses: where the job is to go on, seconds from it until it has done so, the time that it lasts included.
        lost: iterations.
        wrong: what was not as it must be.
    """

    times: int = 0
    survived: int = 0
    seconds: List[float] = field(default_factory=list)
    pauses: List[float] = field(default_factory=list)
    lost: List[int] = field(default_factory=list)
    wrong: List[str] = field(default_factory=list)


def chosen(part: str = "", places: Sequence[str] = PLACES) -> Dict[str, Fault]:
    """Return the kinds whose names have the part and that are done in one of the places, there alone."""
    found = {name: [place for place in fault.places if place in places] for name, fault in FAULTS.items()}
    return {name: replace(FAULTS[name], places=left) for name, left in found.items() if part in name and left}


def schedule(kinds: Mapping[str, Fault], faults: int, seed: int) -> Iterator[Tuple[str, str]]:
    """Yield names of faults, each kind before any comes again, and the place where each is done."""
    chance = random.Random(seed)
    names: List[str] = []
    for _ in range(faults):
        if not names:
            names = sorted(kinds)
            chance.shuffle(names)
        name = names.pop()
        yield name, chance.choice(kinds[name].places)


def run(
    kinds: Mapping[str, Fault], faults: int, seed: int, folder: Path, say: Callable[[str], None]
) -> Dict[str, Tally]:
    """Do so many faults of these kinds; return what became of each kind."""
    reached: Dict[str, int] = {}
    tallies: Dict[str, Tally] = {}
    with Jobs(folder) as jobs:
        for number, (name, place) in enumerate(schedule(kinds, faults, seed), 1):
            tally, job = tallies.setdefault(name, Tally()), jobs.at(place)
            before = len(tally.wrong)
            try:
                reached[place] = one(job, kinds[name], reached.get(place, 0), tally)
            except Exception as error:
                tally.wrong.append(f"{type(error).__name__}: {error}; printed:\n" + "\n".join(job.lines[-20:]))
            finally:
                for left in job.family():
                    left.kill()
            wrong = tally.wrong[before:]
            tally.times, tally.survived = tally.times + 1, tally.survived + (not wrong)
            took = f"{tally.seconds[-1]:.1f} s" if tally.seconds else ""
            say(f"{number:>3}  {name} ({place}): {'; '.join(wrong) if wrong else 'survived'} {took}")
    return tallies


def one(job: Job, fault: Fault, reached: int, tally: Tally) -> int:
    """Do one fault to the job; return the iteration that its store has reached.

    Args:
        reached: the iteration that it had reached before.
    """
    job.start()
    fault.moment(job)
    job.family()  # of whom some can only be seen while their parents live
    began = time.monotonic()
    fault.strike(job)
    seen = max(reached, job.iterations())
    if fault.goes_on:
        job.await_iterations(4)
        tally.pauses.append(time.monotonic() - began)
        began = time.monotonic()
        job.process.send_signal(signal.SIGTERM)
    tally.wrong += ended(job, fault, began, tally)
    seen = max(seen, job.iterations())
    going_on = job.saw(r"going on from iteration (\d+)")
    if going_on and reached - int(going_on[1]) > AT_MOST_BACK:
        tally.wrong.append(f"went on from iteration {going_on[1]}, and had reached {reached}")
    left = whole(job)
    tally.lost.append(max(0, seen - left))
    if seen - left > AT_MOST_BACK:
        tally.wrong.append(f"keeps iteration {left} of {seen}")
    tally.wrong += unloadable_model(job)
    return left


def ended(job: Job, fault: Fault, began: float, tally: Tally) -> List[str]:
    """Wait for the end of the job; return what is wrong with it."""
    statuses = (143,) if fault.goes_on else fault.statuses
    try:
        status = job.wait(fault.most_s)
    except TimeoutExpired:
        return [f"had not ended after {fault.most_s:.0f} s"]
    tally.seconds.append(time.monotonic() - began)
    wrong = []
    if status not in statuses:
        wrong.append(f"exit status {status}: {job.lines[-8:]}")
    orphans = job.await_end_of_family(FAMILY_S)
    if orphans:
        wrong.append(f"left running: {orphans}")
    fault.after(job)
    job.look()
    return wrong + untrue_record(job, fault, status)


def untrue_record(job: Job, fault: Fault, status: int) -> List[str]:
    """Say what is wrong with job.json, and with the model that it speaks of."""
    record, wrong = job.record(), []
    state = record["TrainingJobStatus"]
    expected = fault.state or ("Stopped" if status in (130, 143) else "Failed" if status > 0 else "InProgress")
    if state != expected:
        wrong.append(f"{state}, and not {expected}, with exit status {status}")
    if state == "Stopped" and status != 130 and whole(job) and not (job.directory / "output/model.tar.gz").exists():
        wrong.append("Stopped, and without a model")
    if state == "Failed" and not record.get("FailureReason"):
        wrong.append("no reason is given")
    return wrong


def whole(job: Job) -> int:
    """Return the newest iteration whose checkpoint can be read; 0 where there is none."""
    for checkpoint in reversed(job.kept()):
        try:
            with checkpoint.path.open("rb") as file:
                pickle.load(file)
        except Exception:
            continue
        return checkpoint.iteration
    return 0


def unloadable_model(job: Job) -> List[str]:
    """Say what is wrong with the model, where there is one."""
    archive = job.directory / "output" / "model.tar.gz"
    if not archive.exists():
        return []
    with tempfile.TemporaryDirectory() as folder:
        try:
            with tarfile.open(str(archive)) as tar:
                tar.getmembers()
            Policy.load(opened(archive.parent, Path(folder) / "model"))
        except Exception as error:
            return [f"the model does not load: {error}"]
    return []


def table(tallies: Mapping[str, Tally]) -> str:
    """Write what became of each kind: how often, survived, iterations lost at worst, seconds to its end."""
    header = ["fault", "times", "survived", "iterations lost, at worst", "seconds to its end", "until it went on"]
    rows = [" | ".join(header), "|".join(["---"] * len(header))]
    for name, tally in sorted(tallies.items()):
        spread = f"{middle_and_worst(tally.seconds)} | {middle_and_worst(tally.pauses)}"
        rows.append(f"{name} | {tally.times} | {tally.survived} | {max(tally.lost, default=0)} | {spread}")
    return "\n".join(f"| {row} |" for row in rows)


def middle_and_worst(seconds: Sequence[float]) -> str:
    ordered = sorted(seconds)
    return f"{ordered[len(ordered) // 2]:.1f}, at worst {ordered[-1]:.1f}" if ordered else ""
