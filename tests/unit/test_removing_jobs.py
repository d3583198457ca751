"""`scripts/jobs`: which jobs it lists, and `--rm`, on a directory store; tests/stack has it on MinIO."""

from __future__ import annotations

import json
import os
import pty
import subprocess
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Dict, List, Tuple

import pytest

from rl_app import machine
from rl_app.storage.base import WORK
from rl_app.storage.directory import DirectoryStore
from tests.made_jobs import ROOT, make, script
from tests.pty_run import all_sent_to


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    return DirectoryStore(tmp_path / "store")


def listed(cwd: Path, *words: str) -> List[str]:
    status, printed, said = script("jobs", "--store", "store", "--json", *words, cwd=cwd)
    assert status == 0, said
    return [row["name"] for row in json.loads(printed or "[]")]


def evaluation(store: DirectoryStore, name: str) -> None:
    source = {"S3DataType": "S3Prefix", "S3Uri": "s3://rllib/first/output/model.tar.gz"}
    channels = [{"ChannelName": "model", "DataSource": {"S3DataSource": source}}]
    make(store, name, HyperParameters={"command": "evaluate"}, InputDataConfig=channels)


def test_jobs_are_picked_by_state_experiment_and_number(store: DirectoryStore, tmp_path: Path) -> None:
    for day, (name, state, experiment) in enumerate(
        [("a", "Completed", "cartpole"), ("b", "Failed", "cartpole"), ("c", "Failed", "catch")], 1
    ):
        given = {"HyperParameters": {"experiment": experiment}, "CreationTime": f"2026-01-0{day}T00:00:00+00:00"}
        make(store, name, state, **given)
    assert listed(tmp_path, "--state", "failed") == ["c", "b"]
    assert listed(tmp_path, "--experiment", "cartpole") == ["b", "a"]
    assert listed(tmp_path, "--last", "2") == ["c", "b"]
    assert listed(tmp_path, "--state", "Failed", "--experiment", "cartpole", "--last", "1") == ["b"]
    status, printed, said = script("jobs", "--store", "store", "--state", "stopped", cwd=tmp_path)
    assert (status, printed, said) == (0, "", ["no jobs that are Stopped in store"])
    status, _, said = script("jobs", "--state", "broken", cwd=tmp_path)
    assert status == 2 and "must be one of Completed, Failed, InProgress, Stopped" in said[-1]


def test_evaluations_stand_apart(store: DirectoryStore, tmp_path: Path) -> None:
    make(store, "first")
    evaluation(store, "first-evaluation")
    _, printed, _ = script("jobs", "--store", "store", cwd=tmp_path)
    trainings, _, evaluations = printed.partition("\nevaluations\n")
    assert [line.split()[0] for line in trainings.splitlines()] == ["name", "first"]
    header, row = evaluations.splitlines()
    assert header.split()[:3] == ["name", "state", "model"]
    assert row.split()[:3] == ["first-evaluation", "Completed", "first"]


def answer(words: List[str], typed: str, cwd: Path) -> Tuple[int, str]:
    """Runs the script on a terminal, types an answer; returns the exit status and what was on the screen."""
    ours, theirs = pty.openpty()
    environ = {**os.environ, "S3_PORT": "1"}
    process = subprocess.Popen(
        [str(ROOT / "scripts" / "jobs"), *words], cwd=cwd, env=environ, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    os.write(ours, f"{typed}\n".encode())
    screen = all_sent_to(ours)
    return process.wait(60), screen.decode().replace("\r\n", "\n")


def test_a_removal_says_what_and_how_much_and_asks(store: DirectoryStore, tmp_path: Path) -> None:
    for name in ("first", "second", "other"):
        make(store, name)
    (store.root / WORK / "second").mkdir(parents=True)
    (store.root / WORK / "second" / "left").write_bytes(bytes(2000))
    words = ["--store", "store", "--rm", "first", "second"]
    status, screen = answer(words, "n", tmp_path)
    assert status == 1 and "first  Completed  store/first: 7 files, " in screen, screen
    assert "second  Completed  store/second and store/.work/second: 8 files, " in screen
    assert "remove 2 jobs, " in screen and "nothing was removed" in screen
    assert sorted(listed(tmp_path)) == ["first", "other", "second"]
    status, screen = answer(words, "y", tmp_path)
    assert status == 0 and "removed first\nremoved second\n" in screen
    assert sorted(path.name for path in store.root.rglob("*") if path.is_dir() and path.parent == store.root) == [
        WORK,
        "other",
    ]
    assert list((store.root / WORK).iterdir()) == []


def test_a_removal_without_a_terminal_takes_a_yes(store: DirectoryStore, tmp_path: Path) -> None:
    make(store, "first")
    status, _, said = script("jobs", "--store", "store", "--rm", "first", cwd=tmp_path)
    assert status == 2 and said[-1].startswith("--rm: asks before it removes, and there is no terminal; --yes")
    status, _, said = script("jobs", "--store", "store", "--rm", "first", "--yes", cwd=tmp_path)
    assert (status, said[-1]) == (0, "removed first")
    assert list(store.root.iterdir()) == []


def running(space: str, pid: int, modified: str) -> Dict[str, Any]:
    local = {"Host": "here", "Space": space, "Processes": {str(pid): machine.started_at(pid)}}
    return {"LastModifiedTime": modified, "Local": local}


def test_a_job_that_runs_is_refused_and_all_stay(store: DirectoryStore, tmp_path: Path) -> None:
    make(store, "first")
    now, before = datetime.now(timezone.utc).isoformat(), "2026-01-01T00:00:00+00:00"
    make(store, "runs", "InProgress", **running("elsewhere/1", 1, now))
    make(store, "suspended", "InProgress", **running(machine.process_space(), os.getpid(), before))
    make(store, "died", "InProgress", **running("elsewhere/1", 1, before))
    for name in ("runs", "suspended"):
        status, _, said = script("jobs", "--store", "store", "--rm", "first", name, "--yes", cwd=tmp_path)
        assert (status, said) == (2, [f"{name}: it is InProgress; `scripts/stop {name} --store store` stops it"])
    status, _, said = script("jobs", "--store", "store", "--rm", "died", "--yes", cwd=tmp_path)
    assert status == 0, said
    assert sorted(store.folders()) == ["first", "runs", "suspended"]
    status, _, said = script("jobs", "--store", "store", "--rm", "frist", "--yes", cwd=tmp_path)
    assert status == 2 and "did you mean first?" in said[-1]


def test_a_fetched_copy_can_be_removed(store: DirectoryStore, tmp_path: Path) -> None:
    make(store, "first", "InProgress")
    script("fetch", "first", "--store", "store", "--into", "into", cwd=tmp_path)
    status, _, said = script("jobs", "--store", "into", "--rm", "first", "--yes", cwd=tmp_path)
    assert status == 0 and said[0].startswith("first  a fetched copy  into/first: 5 files"), said
    assert os.listdir(tmp_path / "into") == []
    assert store.folders() == ["first"]
