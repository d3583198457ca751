"""`scripts/watch` on a job of this machine, whose store grows between two looks."""

from __future__ import annotations

import json
import shlex
import shutil
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Callable, Dict, List

import pytest

from rl_app.errors import JobError
from scripts.commands import watch
from scripts.lib import following, jobs
from scripts.lib.environments import ROOT
from tests.pty_run import Shown, on_terminal

LINE = "iteration    {}  episode_reward_mean: {:.2f}  min: 1.00  episode_reward_max: 9.00  5 episodes"


class LocalJob:
    """A job in a directory store."""

    def __init__(self, runs: Path) -> None:
        self.runs = runs
        self.log = runs / "first" / "output" / "intermediate" / "train.log"
        self.log.parent.mkdir(parents=True)

    def record(self, status: str, **more: Any) -> Dict[str, Any]:
        now = datetime.now(timezone.utc).isoformat()
        record = {
            "TrainingJobName": "first",
            "TrainingJobStatus": status,
            "SecondaryStatus": "Training" if status == "InProgress" else status,
            "LastModifiedTime": now,
            "Local": {"Host": "here", "Space": "1", "Processes": {"123": "4"}},
            **more,
        }
        (self.runs / "first" / "job.json").write_text(json.dumps(record))
        return record

    def write(self, text: str) -> None:
        with self.log.open("a") as log:
            log.write(text)

    def follow(self, pause: Callable[[float], None]) -> int:
        return following.follow_local(jobs.find("first", str(self.runs)), self.runs, pause)


@pytest.fixture
def job(tmp_path: Path) -> LocalJob:
    return LocalJob(tmp_path / "runs")


def test_lines_come_whole_and_once_and_it_ends_with_the_job(job: LocalJob, capsys: Any) -> None:
    job.record("InProgress")
    job.write("starting\n" + LINE.format(1, 20)[:30])
    steps: List[Callable[[], Any]] = [
        lambda: job.write(LINE.format(1, 20)[30:] + "\n" + LINE.format(2, 90) + "\n"),
        lambda: job.record("Completed", ModelArtifacts={"S3ModelArtifacts": "runs/first/output/model.tar.gz"}),
    ]
    assert job.follow(lambda _: steps.pop(0)()) == 0
    said = capsys.readouterr()
    assert said.out.splitlines() == ["starting", LINE.format(1, 20), LINE.format(2, 90)]
    assert "episode_reward_mean  20.0 ▁█ 90.0" in said.err
    assert "first: Completed" in said.err
    assert "runs/first/output/model.tar.gz" in said.err


@pytest.mark.parametrize("status", ["Failed", "Stopped"])
def test_other_ends_are_no_success_and_say_why(job: LocalJob, status: str, capsys: Any) -> None:
    job.record(status, FailureReason="lr = fast: expected a number")
    assert job.follow(lambda _: pytest.fail("it has ended")) == 1
    assert "why    lr = fast: expected a number" in capsys.readouterr().err


def test_a_job_that_has_died_is_not_waited_for(job: LocalJob, capsys: Any) -> None:
    job.record("InProgress", LastModifiedTime="2026-01-31T12:00:00+00:00")
    assert job.follow(lambda _: pytest.fail("it has died")) == 1
    assert "scripts/train --resume first" in capsys.readouterr().err


def test_ctrl_c_leaves_it_running_and_says_what_stops_it(job: LocalJob, capsys: Any) -> None:
    job.record("InProgress")

    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    assert job.follow(interrupt) == 130
    words = f"first --store {shlex.quote(str(job.runs))}"
    assert f"first goes on; `scripts/stop {words}` stops it, `scripts/watch {words}` f" in capsys.readouterr().err
    assert jobs.find("first", str(job.runs)).state == "InProgress"


def test_report_and_videos_are_named_where_they_are(job: LocalJob, capsys: Any) -> None:
    job.record("InProgress")
    video = job.log.parent / "videos" / "iteration-1.mp4"

    def end() -> None:
        video.parent.mkdir()
        video.write_bytes(b"mp4")
        job.record("Completed")

    assert job.follow(lambda _: end()) == 0
    assert f"new: {video}" in capsys.readouterr().err.splitlines()


def test_a_store_without_the_job_is_refused(tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "runs").mkdir()
    assert watch.main(["first", "--store", str(tmp_path / "runs")]) == 2
    assert "first: no such job in" in capsys.readouterr().err


def test_a_job_that_is_removed_meanwhile_ends_it_in_one_line(job: LocalJob) -> None:
    job.record("InProgress")
    job.write("starting\n")
    with pytest.raises(JobError, match=f"first: it is in {job.runs} no more"):
        job.follow(lambda _: shutil.rmtree(job.runs / "first"))


def test_a_log_that_is_removed_meanwhile_does_not(job: LocalJob) -> None:
    job.record("InProgress")
    job.write("starting\n")
    steps: List[Callable[[], Any]] = [job.log.unlink, lambda: job.record("Completed")]
    assert job.follow(lambda _: steps.pop(0)()) == 0


def test_a_job_whose_record_tells_nothing_is_refused(job: LocalJob, capsys: Any) -> None:
    (job.runs / "first" / "job.json").write_text("[]")
    assert watch.main(["first", "--store", str(job.runs)]) == 2
    assert f"first: nothing in {job.runs} tells how it goes; --cloud asks" in capsys.readouterr().err


def test_a_copy_of_a_job_that_ran_as_it_was_fetched_is_not_waited_for(job: LocalJob, capsys: Any) -> None:
    record = job.record("InProgress")
    (job.runs / "first" / "job.json").unlink()
    copy = {**record, "Fetched": {"From": "s3://rllib/first"}}
    (job.runs / "first" / "fetched.json").write_text(json.dumps(copy))
    assert watch.main(["first", "--store", str(job.runs)]) == 2
    assert "a copy of it alone, that was fetched of s3://rllib/first" in capsys.readouterr().err


def terminal(job: LocalJob, columns: int, **environ: str) -> Shown:
    """A job of a hundred iterations, as it is followed on a terminal so wide."""
    job.write("".join(LINE.format(number, 20 + number) + "\n" for number in range(1, 101)))
    job.record("Completed")
    words = [str(ROOT / "scripts" / "watch"), "first", "--store", str(job.runs)]
    return on_terminal(words, columns, job.runs.parent, environ=environ)


@pytest.mark.parametrize("columns", [40, 80])
def test_the_curve_fits_the_terminal_on_which_it_is_drawn_over(columns: int, job: LocalJob) -> None:
    shown = terminal(job, columns)
    curves = [line for line in shown.lines if line.startswith("episode_reward_mean ")]
    assert shown.status == 0 and len(curves) > 100
    assert max(map(len, curves)) < columns
    assert curves[-1].endswith(" 120.0") and "21.0 ▁" in curves[-1]


def test_a_terminal_that_draws_nothing_over_gets_lines_alone(job: LocalJob) -> None:
    shown = terminal(job, 80, TERM="dumb")
    assert shown.status == 0 and "\x1b" not in shown.raw
    assert sum(line.startswith("episode_reward_mean ") for line in shown.lines) == 1
