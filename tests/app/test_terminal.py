"""What a person sees of a job on a real terminal, and what of it is in its log."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
from pathlib import Path
from typing import IO, List

import pytest

from tests.app.jobs import REPOSITORY, local
from tests.pty_run import Shown, on_terminal

# Iterations of some tenths of a second, so that the bar, which is drawn anew some times a second, is seen in them
SHORT = ("stop.training_iteration=2", "config.timesteps_per_iteration=30000", "seed=1")


def train(columns: int, store: Path) -> Shown:
    """`scripts/train` in a process."""
    words = ["scripts/train", "cartpole", *SHORT, "--engine", "process", "--job", "seen", "--store", str(store)]
    return on_terminal(words, columns, REPOSITORY)


@pytest.mark.parametrize("columns", [80, 160, 0])
def test_a_job_on_a_terminal_says_each_thing_once_and_logs_its_iterations(columns: int, tmp_path: Path) -> None:
    shown = train(columns, tmp_path)
    log = (tmp_path / "seen/output/intermediate/train.log").read_text()
    assert shown.status == 0, shown.raw
    for number in (1, 2):
        assert sum(line.startswith(f"iteration {number:>4} ") for line in shown.lines) == 1, shown.lines
        assert len(re.findall(f"^iteration +{number}  .* episodes  .* steps/s", log, re.MULTILINE)) == 1
    assert "\x1b" not in log and "\r" not in log
    for noise in ("WARNING", "Warning", "tensorflow", "Gym has been unmaintained", "Traceback"):
        assert noise not in shown.raw
    assert "Gym has been unmaintained" in log
    if columns:
        of_the_job = [line for line in shown.lines if str(tmp_path) not in line and not line.startswith("  next")]
        assert max(map(len, of_the_job)) <= columns, shown.lines
        for doing in ("starting (", "building the trainer", "sampling and training, iteration ", "exporting"):
            assert doing in shown.raw
        curve = on_terminal(["scripts/watch", "seen", "--store", str(tmp_path)], columns, REPOSITORY)
        assert curve.status == 0
        assert re.search("episode_reward_mean  [0-9.]+ [▁▂▃▄▅▆▇█]{2} [0-9.]+$", "\n".join(curve.lines), re.MULTILINE)
    else:
        assert "\x1b[" not in shown.raw


def job(store: Path, output: int, iterations: int) -> "subprocess.Popen[bytes]":
    """A job, all of whose words go to ``output``; the processes of an interrupted pipeline get a signal each."""
    goal = (f"stop.training_iteration={iterations}", "stop.episode_reward_mean=1000")
    words = local("cartpole", *goal, "stop.timesteps_total=1000000000", "--job", "heard", "--store", str(store))
    return subprocess.Popen(words, cwd=REPOSITORY, stdin=subprocess.DEVNULL, stdout=output, stderr=output)


def left(store: Path) -> List[str]:
    """The state of the job, and what it has left."""
    record = json.loads((store / "heard/job.json").read_text())
    reason = record.get("FailureReason", "")
    return [record["TrainingJobStatus"], reason, *sorted(path.name for path in (store / "heard/output").glob("*.gz"))]


def heard(stream: IO[bytes], word: bytes) -> None:
    """Read up to a line with the word, as `head` does, and go."""
    with stream:
        assert any(word in line for line in stream)


def test_ctrl_c_that_ends_tee_too_has_the_job_save_what_it_has_learned(tmp_path: Path) -> None:
    ours, theirs = os.pipe()
    process = job(tmp_path, theirs, 100000)
    os.close(theirs)
    heard(os.fdopen(ours, "rb"), b"iteration    2 ")
    process.send_signal(signal.SIGINT)
    assert process.wait(120) == 130
    assert left(tmp_path) == ["Stopped", "", "model.tar.gz", "output.tar.gz"]
    log = (tmp_path / "heard/output/intermediate/train.log").read_text()
    assert log.count("standard output: Broken pipe; the job goes on without it") == 1
    assert "exporting the policy" in log


def test_a_job_whose_output_is_on_a_full_disk_is_completed(tmp_path: Path) -> None:
    with open("/dev/full", "wb") as full:
        assert job(tmp_path, full.fileno(), 2).wait(120) == 0
    assert left(tmp_path) == ["Completed", "", "model.tar.gz", "output.tar.gz"]


def test_a_terminal_that_is_closed_stops_the_job_which_saves(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    process = job(tmp_path, theirs, 100000)
    os.close(theirs)
    heard(os.fdopen(ours, "rb"), b"iteration    2 ")
    process.send_signal(signal.SIGHUP)
    assert process.wait(120) == 128 + signal.SIGHUP
    assert left(tmp_path) == ["Stopped", "", "model.tar.gz", "output.tar.gz"]
