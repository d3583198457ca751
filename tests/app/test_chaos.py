"""Some faults to real jobs, each followed by a resume; ``python -m tests.chaos`` does all kinds, by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos import harness
from tests.chaos.job import Job
from tests.chaos.places import ALONE, WITH_WORKER

FAULTS, SEED = 7, 3
IN_PROCESSES = harness.chosen(places=(ALONE, WITH_WORKER))


@pytest.mark.alone
def test_a_job_survives_what_is_done_to_it(tmp_path: Path) -> None:
    tallies = harness.run(IN_PROCESSES, FAULTS, SEED, tmp_path, print)
    assert len(tallies) == FAULTS, "each kind before any comes again"
    assert {name: tally.wrong for name, tally in tallies.items() if tally.wrong} == {}
    assert all(tally.seconds for tally in tallies.values())


def test_what_is_lost_is_seen(tmp_path: Path) -> None:
    job = Job(tmp_path, 0)
    for iteration in (1, 2):
        folder = job.directory / f"checkpoints/checkpoint_{iteration}"
        folder.mkdir(parents=True)
        (folder / f"checkpoint-{iteration}").write_bytes(b"N." if iteration == 1 else b"\x80\x03}q\x00(")
        (folder / f"checkpoint-{iteration}.tune_metadata").touch()
    assert harness.whole(job) == 1, "the newest cannot be read"
    (job.directory / "output").mkdir()
    (job.directory / "output/model.tar.gz").write_bytes(b"cut short")
    (wrong,) = harness.unloadable_model(job)
    assert wrong.startswith("the model does not load")


def test_a_schedule_has_every_kind_and_is_the_same_again() -> None:
    order = list(harness.schedule(harness.FAULTS, 60, 0))
    assert {name for name, _ in order} == set(harness.FAULTS) and len(harness.FAULTS) >= 15
    assert order == list(harness.schedule(harness.FAULTS, 60, 0)) != list(harness.schedule(harness.FAULTS, 60, 1))
    assert all(place in harness.FAULTS[name].places for name, place in order)
