"""Some faults to jobs whose store is a real MinIO, in processes and in containers of compose, each gone on with."""

from __future__ import annotations

from pathlib import Path

from tests.chaos import harness
from tests.chaos.places import COMPOSE, MINIO

FAULTS, SEED = 5, 4


def test_a_job_survives_what_is_done_to_its_store_and_container(tmp_path: Path) -> None:
    tallies = harness.run(harness.chosen(places=(MINIO, COMPOSE)), FAULTS, SEED, tmp_path, print)
    assert len(tallies) == FAULTS
    assert {name: tally.wrong for name, tally in tallies.items() if tally.wrong} == {}
    assert all(tally.seconds for tally in tallies.values())
