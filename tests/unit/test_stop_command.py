"""`scripts/stop` on jobs of this machine: real processes get the signal, and nothing else does."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Iterator

import psutil
import pytest

from rl_app import machine
from scripts.commands import stop
from tests.waiting import until

LONG_AGO = "2026-01-31T12:00:00+00:00"
OF_THE_DEAD = {"Host": "here", "Space": "another boot/1", "Processes": {"1": "12"}}


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    """What plays a job."""
    started = subprocess.Popen(["sleep", "600"])
    yield started
    started.kill()
    started.wait()


def record(runs: Path, pid: int, **more: Any) -> None:
    """The job.json of a job that runs as this process."""
    local = {"Host": "here", "Space": machine.process_space(), "Processes": {str(pid): machine.started_at(pid)}}
    now = datetime.now(timezone.utc).isoformat()
    kept = {"TrainingJobName": "first", "TrainingJobStatus": "InProgress", "LastModifiedTime": now, "Local": local}
    (runs / "first").mkdir(parents=True, exist_ok=True)
    (runs / "first" / "job.json").write_text(json.dumps({**kept, **more}))


def asked(runs: Path) -> int:
    return stop.main(["first", "--store", str(runs)])


def test_the_job_gets_sigterm(process: Any, tmp_path: Path, capsys: Any) -> None:
    record(tmp_path, process.pid)
    assert asked(tmp_path) == 0
    assert process.wait(10) == -signal.SIGTERM
    assert "first is being stopped" in capsys.readouterr().err


def test_a_job_that_ctrl_z_holds_gets_it_too_also_after_a_minute(process: Any, tmp_path: Path, capsys: Any) -> None:
    record(tmp_path, process.pid, LastModifiedTime=LONG_AGO)
    process.send_signal(signal.SIGSTOP)
    until(lambda: psutil.Process(process.pid).status() == psutil.STATUS_STOPPED)
    assert asked(tmp_path) == 0
    assert process.wait(10) == -signal.SIGTERM
    assert "first is being stopped" in capsys.readouterr().err


def test_a_number_that_another_process_has_by_now_gets_none(process: Any, tmp_path: Path, capsys: Any) -> None:
    local = {"Host": "here", "Space": machine.process_space(), "Processes": {str(process.pid): "12"}}
    record(tmp_path, process.pid, Local=local)
    assert asked(tmp_path) == 2
    way_on = f"; `scripts/train --resume first --store {tmp_path}` goes on"
    assert f"its process {process.pid} has ended{way_on}\n" in capsys.readouterr().err
    assert process.poll() is None


def test_a_job_of_another_machine_is_refused_with_what_stops_it_there(
    process: Any, tmp_path: Path, capsys: Any
) -> None:
    local = {"Host": "there", "Space": "boot/1", "Processes": {str(process.pid): "12"}}
    record(tmp_path, process.pid, Local=local)
    assert asked(tmp_path) == 2
    assert f"`kill {process.pid}` on there stops it" in capsys.readouterr().err
    assert process.poll() is None


def test_a_container_of_this_machine_that_is_gone_has_ended(process: Any, tmp_path: Path, capsys: Any) -> None:
    boot, _, _ = machine.process_space().partition("/")
    record(tmp_path, process.pid, Local={"Host": "algo-1", "Space": f"{boot}/1", "Processes": {"8": "12"}})
    assert asked(tmp_path) == 2
    way_on = f"; `scripts/train --resume first --store {tmp_path}` goes on"
    assert f"first: its container has ended{way_on}\n" in capsys.readouterr().err


def test_another_users_job_is_refused(process: Any, tmp_path: Path, capsys: Any, monkeypatch: Any) -> None:
    def refuse(pid: int, number: int) -> None:
        raise PermissionError(pid, number)

    record(tmp_path, process.pid)
    monkeypatch.setattr(os, "kill", refuse)
    assert asked(tmp_path) == 2
    assert f"process {process.pid} is another user's" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"TrainingJobStatus": "Completed", "SecondaryStatus": "Completed"}, "first has ended already: Completed"),
        ({"LastModifiedTime": LONG_AGO, "Local": OF_THE_DEAD}, "first has died: no sign of life for "),
    ],
    ids=["ended", "died"],
)
def test_what_does_not_run_is_not_stopped(more: Any, said: str, process: Any, tmp_path: Path, capsys: Any) -> None:
    record(tmp_path, process.pid, **more)
    assert asked(tmp_path) == 0
    assert said in capsys.readouterr().err
    assert process.poll() is None
