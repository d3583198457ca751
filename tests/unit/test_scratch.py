"""What a job leaves in the temporary directory: nothing at its end, and after a kill nothing beyond the next start."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Iterator

import psutil
import pytest

from rl_app.stopping import scratch
from tests.waiting import until

REPOSITORY = str(Path(__file__).parents[2])
JOB = """
import os, pathlib, subprocess, sys, tempfile, time
from rl_app.stopping import relay

def job(stop):
    pathlib.Path(tempfile.gettempdir(), "recorder-1").mkdir()
    stray = subprocess.Popen(["sleep", "600"], start_new_session=True)
    pathlib.Path(sys.argv[1]).write_text(f"{tempfile.gettempdir()} {stray.pid}")
    END

sys.exit(relay.behind(job))
"""
WAIT = "time.sleep(600)"


@pytest.fixture
def temporary() -> Iterator[Path]:
    """A directory with a short name, as temporary ones have."""
    folder = Path(tempfile.mkdtemp(prefix="t", dir="/tmp"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


class Started:
    """A job, its folder and the process that it left in a session of its own."""

    def __init__(self, temporary: Path, said: Path, end: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", JOB.replace("END", end), str(said)],
            cwd=REPOSITORY,
            env={**os.environ, "TMPDIR": str(temporary)},
        )
        until(lambda: len(said.read_text().split()) == 2, 30)
        folder, stray = said.read_text().split()
        self.folder, self.stray = Path(folder), psutil.Process(int(stray))
        self.job = next(each for each in psutil.Process(self.process.pid).children() if each.pid != int(stray))


@pytest.mark.parametrize(
    ("end", "status"),
    [("return 0", 0), ("os._exit(3)", 3), ("os.kill(os.getpid(), 9)", -9), ("raise SystemExit(4)", 4)],
)
def test_nothing_is_left_of_a_job_however_it_ends(end: str, status: int, temporary: Path, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", JOB.replace("END", end), str(tmp_path / "said")],
        cwd=REPOSITORY,
        env={**os.environ, "TMPDIR": str(temporary)},
    )
    assert process.wait(30) == status
    folder, stray = (tmp_path / "said").read_text().split()
    assert Path(folder).parent == temporary
    assert list(temporary.iterdir()) == []
    assert not psutil.pid_exists(int(stray))


def test_the_folder_is_of_this_user_alone_and_the_next_start_leaves_it_while_the_job_runs(
    temporary: Path, tmp_path: Path
) -> None:
    started = Started(temporary, tmp_path / "said", WAIT)
    assert stat.S_IMODE(started.folder.stat().st_mode) == 0o700
    scratch.remove_dead(temporary)
    assert (started.folder / "recorder-1").is_dir()
    started.job.kill()
    started.process.wait(30)
    assert not started.folder.exists()


def test_the_next_start_removes_what_a_job_left_that_was_killed(temporary: Path, tmp_path: Path) -> None:
    started = Started(temporary, tmp_path / "said", WAIT)
    for each in (started.process, started.job, started.stray):
        each.send_signal(signal.SIGKILL)
    started.process.wait(30)
    psutil.wait_procs([started.job, started.stray], 30)
    assert started.folder.exists()
    scratch.remove_dead(temporary)
    assert list(temporary.iterdir()) == []


def test_what_is_not_a_jobs_is_left_alone(temporary: Path) -> None:
    (temporary / "rl-of-another").mkdir()
    (temporary / "rl-link").symlink_to(temporary / "rl-of-another")
    (temporary / "rl-of-another/file").touch()
    scratch.remove_dead(temporary)
    assert (temporary / "rl-of-another/file").exists()


def test_a_long_name_of_the_temporary_directory_is_too_long_for_rays_sockets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = tmp_path / ("x" * 40)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    made = scratch.make()
    assert made
    assert made.folder.parent == Path("/tmp")
    made.remove()
    assert not made.folder.exists()


def test_a_job_without_a_place_for_temporary_files_is_run_and_says_so_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere")
    assert scratch.make() is None
