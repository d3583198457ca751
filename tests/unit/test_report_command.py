"""`scripts/report`: from whichever store has the job, opened by whatever browser there is."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Tuple

import pytest

from rl_app.storage.directory import DirectoryStore
from tests.made_jobs import make, script
from tests.waiting import until


@pytest.fixture
def runs(tmp_path: Path) -> DirectoryStore:
    store = DirectoryStore(tmp_path / "runs")
    make(store, "first", LastModifiedTime="2026-01-02T03:05:00+00:00")
    return store


def browser(tmp_path: Path) -> Tuple[str, Path]:
    """A browser that notes the address that it is to open."""
    program, seen = tmp_path / "browser", tmp_path / "seen"
    program.write_text(f'#!/bin/sh\nprintf %s "$1" > {seen}.part && mv {seen}.part {seen}\n')
    program.chmod(0o755)
    return f"{program} %s", seen


def test_it_opens_the_report_of_a_job_of_this_machine(runs: DirectoryStore, tmp_path: Path) -> None:
    command, seen = browser(tmp_path)
    status, printed, said = script("report", "first", "--store", "runs", cwd=tmp_path, environ={"BROWSER": command})
    assert (status, printed, said) == (0, "runs/first/output/intermediate/report.html\n", [])
    until(seen.exists, 10)
    assert seen.read_text() == (runs.root / "first/output/intermediate/report.html").as_uri()


def test_print_says_where_it_is_and_opens_nothing(runs: DirectoryStore, tmp_path: Path) -> None:
    command, seen = browser(tmp_path)
    words = ("first", "--print", "--store", "runs")
    status, printed, said = script("report", *words, cwd=tmp_path, environ={"BROWSER": command})
    assert (status, printed, said) == (0, "runs/first/output/intermediate/report.html\n", [])
    assert not seen.exists()


def test_without_a_browser_it_says_what_to_do(runs: DirectoryStore, tmp_path: Path) -> None:
    words = ("first", "--store", "runs")
    status, printed, said = script("report", *words, cwd=tmp_path, environ={"BROWSER": "/nonexistent %s"})
    assert (status, printed) == (0, "runs/first/output/intermediate/report.html\n")
    assert said == ["no browser was found here: open that file in one"]


def test_what_is_packed_is_fetched_and_fetched_again_only_when_the_job_has_run_on(
    runs: DirectoryStore, tmp_path: Path
) -> None:
    shutil.rmtree(runs.root / "first/output/intermediate")
    words = ("first", "--print", "--store", "runs", "--into", "into")
    status, printed, _ = script("report", *words, cwd=tmp_path)
    report = tmp_path / "into/first/output/data/report.html"
    assert (status, printed) == (0, "into/first/output/data/report.html\n")
    before = report.stat().st_ino
    assert script("report", *words, cwd=tmp_path)[0] == 0
    assert report.stat().st_ino == before
    make(runs, "first", LastModifiedTime="2026-01-02T04:00:00+00:00")
    shutil.rmtree(runs.root / "first/output/intermediate")
    assert script("report", *words, cwd=tmp_path)[0] == 0
    assert report.stat().st_ino != before


def test_a_job_without_one_is_refused(runs: DirectoryStore, tmp_path: Path) -> None:
    shutil.rmtree(runs.root / "first/output")
    status, printed, said = script("report", "first", "--print", "--store", "runs", "--into", "into", cwd=tmp_path)
    assert (status, printed, len(said)) == (2, "", 1)
    assert said[0].startswith("first: ") and "no output" in said[0]
    assert os.listdir(runs.root / "first") == ["job.json"]
