"""A compose service run once, on the real engine: its exit status, and the signals that reach it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import uuid
from pathlib import Path
from typing import Iterator, List

import pytest

from scripts.commands import stop
from scripts.lib.environments import ROOT
from tests.waiting import until

JOB = """
import signal, sys, time

def stop(number, frame):
    print("told to stop by", signal.Signals(number).name, flush=True)
    sys.exit(128 + number)

signal.signal(signal.SIGINT, stop)
signal.signal(signal.SIGTERM, stop)
print("at work", *sys.argv[1:], flush=True)
time.sleep(float(sys.argv[1]))
sys.exit(int(sys.argv[2]))
"""
COMPOSE = """
services:
  train:
    build: .
    init: true
"""
DOCKERFILE = """
FROM python:3.8-slim-bookworm
COPY job.py /
ENTRYPOINT ["python", "/job.py"]
LABEL tests.engine=yes
"""


def started(project: Path, output: int, *words: str, before: str = "") -> "subprocess.Popen[str]":
    """A service that is started as the scripts do it, in a process of its own, which does something ``before``."""
    code = (
        f"import signal, sys; from pathlib import Path; from scripts.lib.engine import run_service\n{before}\n"
        "sys.exit(run_service('train', sys.argv[2:], root=Path(sys.argv[1])))"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code, str(project), *words],
        cwd=ROOT,
        env={**os.environ, "PWD": str(project)},  # as a shell has it, also where that is a link
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        text=True,
    )


class Run:
    """One that is read to its end."""

    def __init__(self, project: Path, *words: str, before: str = "") -> None:
        self.lines: List[str] = []
        self.process = started(project, subprocess.PIPE, *words, before=before)
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout:
            for line in self.process.stdout:
                self.lines.append(line)

    def until_said(self, text: str) -> None:
        until(lambda: any(text in line for line in self.lines) or self.process.poll() is not None, 120)
        assert any(text in line for line in self.lines), self.lines

    def status(self) -> int:
        status = self.process.wait(60)
        self.reader.join(10)
        return status


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "docker-compose.yml").write_text(COMPOSE)
    (tmp_path / "Dockerfile").write_text(DOCKERFILE)
    (tmp_path / "job.py").write_text(JOB)
    yield tmp_path
    for command in (
        ["docker", "compose", "down", "--rmi", "local", "--remove-orphans", "--timeout", "1"],
        ["docker", "image", "prune", "--force", "--filter", "label=tests.engine=yes"],
    ):
        subprocess.run(command, cwd=tmp_path, stdout=subprocess.DEVNULL, timeout=60, check=True)


def containers(project: Path) -> str:
    label = f"label=com.docker.compose.project.working_dir={project}"
    return subprocess.check_output(["docker", "ps", "--all", "--quiet", "--filter", label], text=True)


def test_the_exit_status_is_the_containers(project: Path) -> None:
    run = Run(project, "0", "3")
    assert run.status() == 3, run.lines
    assert "at work 0 3\n" in run.lines


def test_an_edited_source_is_what_runs(project: Path) -> None:
    assert Run(project, "0", "0").status() == 0
    (project / "job.py").write_text("print('edited')")
    run = Run(project, "0", "0")
    assert run.status() == 0
    assert "edited\n" in run.lines


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_a_signal_reaches_the_job(project: Path, number: signal.Signals) -> None:
    run = Run(project, "300", "0")
    run.until_said("at work")
    run.process.send_signal(number)
    assert run.status() == 128 + number, run.lines
    assert f"told to stop by {number.name}\n" in run.lines
    assert containers(project) == ""


def test_under_nohup_a_terminal_that_is_closed_stops_nothing(project: Path) -> None:
    run = Run(project, "5", "0", before="signal.signal(signal.SIGHUP, signal.SIG_IGN)")
    run.until_said("at work")
    run.process.send_signal(signal.SIGHUP)
    assert run.status() == 0, run.lines


def test_a_job_is_found_whose_clone_was_reached_by_a_link(
    project: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = tmp_path_factory.mktemp("linked") / "project"
    link.symlink_to(project)
    run = Run(link, "300", "0")
    run.until_said("at work")
    (container,) = containers(link).split()
    space = subprocess.check_output(["docker", "exec", container, "sh", "-c", stop.SPACE], text=True).strip()
    monkeypatch.setattr(stop, "ROOT", project)
    assert stop.container_in(space) == container
    run.process.send_signal(signal.SIGTERM)
    assert run.status() == 128 + signal.SIGTERM


def test_a_job_whose_reader_is_ended_by_the_same_signal_is_waited_for(project: Path) -> None:
    saves = JOB.replace("    sys.exit(128", "    time.sleep(5)\n    print('saved', flush=True)\n    sys.exit(128")
    (project / "job.py").write_text(saves)
    ours, theirs = os.pipe()
    process = started(project, theirs, "600", "0")
    os.close(theirs)
    with os.fdopen(ours) as read:
        assert any("at work" in line for line in read)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    assert containers(project) == ""


def test_a_signal_while_the_image_is_built_ends_the_build(project: Path) -> None:
    (project / "Dockerfile").write_text(f"{DOCKERFILE}RUN sleep 300\n")
    run = Run(project, "300", "0")
    run.until_said("RUN sleep 300")
    run.process.send_signal(signal.SIGTERM)
    assert run.status() == 128 + signal.SIGTERM, run.lines
    assert not any("at work" in line for line in run.lines)
    assert containers(project) == ""


def test_a_build_shows_its_progress_and_one_from_the_cache_nothing(project: Path) -> None:
    # a step that no earlier run has left in the cache
    (project / "Dockerfile").write_text(f"{DOCKERFILE}RUN echo working on it && : {uuid.uuid4()}\n")
    first = Run(project, "0", "0")
    assert first.status() == 0, first.lines
    assert first.lines[0].startswith("building the image"), first.lines
    assert "  working on it\n" in first.lines
    assert any("RUN echo working on it" in line for line in first.lines)
    second = Run(project, "0", "0")
    assert second.status() == 0
    assert second.lines == ["at work 0 0\n"]


def test_a_build_that_fails_says_why(project: Path) -> None:
    (project / "Dockerfile").write_text(f"{DOCKERFILE}RUN echo no such luck && exit 7\n")
    run = Run(project, "0", "0")
    assert run.status() != 0
    assert "exit code: 7" in "".join(run.lines) and not any("at work" in line for line in run.lines)
