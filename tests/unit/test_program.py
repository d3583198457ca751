"""A user's own program: who hears of a stop, and what is kept of standard error. Real processes, real signals."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import List

import psutil
import pytest

from rl_app.training import program
from rl_app.training.program import END_SIZE, StandardError, Stopping
from tests.waiting import until

# A program with a process of its own, that leaves a file of its name when it is ready and when a signal comes
NOTE = """
import os, pathlib, signal, subprocess, sys
folder, name = pathlib.Path(sys.argv[1]), sys.argv[2]
def heard(number, _):
    (folder / f"{name}-heard").touch()
    if "stubborn" not in name:
        sys.exit()
signal.signal(signal.SIGTERM, heard)
"""
CHILD = f"{NOTE}\n(folder / f'{{name}}-ready').touch()\nwhile True: signal.pause()"
PARENT = f"{NOTE}\nsubprocess.Popen([sys.executable, '-c', {CHILD!r}, str(folder), 'child'])" + CHILD[len(NOTE) :]


def started(folder: Path, words: List[str], *ready: str) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(words, cwd=folder)
    until(lambda: all((folder / f"{name}-ready").exists() for name in ready), 20)
    return process


def heard(folder: Path) -> List[str]:
    return sorted(path.name[: -len("-heard")] for path in folder.glob("*-heard"))


def end(process: subprocess.Popen[bytes]) -> None:
    for each in [*psutil.Process(process.pid).children(recursive=True), process]:
        each.kill()
    process.wait()


def test_the_program_hears_of_a_stop_alone_and_its_processes_when_it_has_ended(tmp_path: Path) -> None:
    with Stopping() as stopping:
        process = started(tmp_path, [sys.executable, "-c", PARENT, str(tmp_path), "parent"], "parent", "child")
        stopping.request(signal.SIGTERM)
        process.wait(10)
        assert heard(tmp_path) == ["parent"]
    until(lambda: heard(tmp_path) == ["child", "parent"], 10)


def test_the_processes_of_a_program_that_does_not_end_hear_of_it_later(tmp_path: Path) -> None:
    with Stopping(rest_after_s=0.2) as stopping:
        process = started(tmp_path, [sys.executable, "-c", PARENT, str(tmp_path), "stubborn"], "stubborn", "child")
        try:
            stopping.request(signal.SIGTERM)
            until(lambda: heard(tmp_path) == ["child", "stubborn"], 10)
        finally:
            end(process)


@pytest.mark.parametrize("trap", [False, True])
@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_of_a_shell_script_what_it_runs_hears_of_a_stop(tmp_path: Path, shell: str, trap: bool) -> None:
    (tmp_path / "child.py").write_text(CHILD)
    lines = [f"#!/usr/bin/env {shell}", f"{sys.executable} child.py . child", "touch saved"]
    (tmp_path / "train.sh").write_text("\n".join([lines[0], *["trap 'touch shell-heard' TERM"] * trap, *lines[1:], ""]))
    (tmp_path / "train.sh").chmod(0o755)
    with Stopping() as stopping:
        process = started(tmp_path, ["/bin/sh", "-c", "./train.sh "], "child")
        stopping.request(signal.SIGTERM)
        process.wait(10)
    assert (process.returncode, (tmp_path / "saved").exists()) == (0, True)
    assert heard(tmp_path) == ["child", *["shell"] * trap]


def written(*texts: str) -> str:
    """What is kept of what a process writes to standard error."""
    with StandardError() as said:
        for text in texts:
            subprocess.run([sys.executable, "-c", f"import os; os.write(2, {text.encode()!r})"], check=True)
    return said.end


def test_the_end_of_standard_error_is_kept_and_all_of_it_goes_on(capfd: pytest.CaptureFixture[str]) -> None:
    assert written("Traceback\n", "ValueError: no such thing\n") == "Traceback\nValueError: no such thing"
    assert capfd.readouterr().err == "Traceback\nValueError: no such thing\n"


def test_whole_lines_are_kept_as_many_as_fit() -> None:
    lines = [f"line {number} {'x' * 50}" for number in range(2000)]
    kept = written("\n".join(lines) + "\n")
    assert len(kept) <= END_SIZE and kept.splitlines() == lines[-len(kept.splitlines()) :]
    assert len(kept.splitlines()) > 5
    assert written("x" * 5000) == "x" * END_SIZE


def test_of_a_progress_bar_the_last_state_is_kept() -> None:
    assert written("loading\r\n 10%\r 20%\r 30%\nfailed\n") == "loading\n 30%\nfailed"


def test_a_process_that_outlives_the_program_does_not_hold_it_up() -> None:
    with StandardError() as said:
        left = subprocess.Popen([sys.executable, "-c", "import sys; print('up', file=sys.stderr); input()"], stdin=-1)
        os.write(2, b"done\n")
    assert "done" in said.end
    left.communicate(b"\n", timeout=10)


def test_a_network_interface_that_is_not_there_is_replaced_by_one_that_is() -> None:
    named = program.resources({"hosts": ["algo-1"], "network_interface_name": "ethwe"})
    assert named["network_interface_name"] in [name for _, name in socket.if_nameindex()]
    assert named["hosts"] == ["algo-1"]
    assert program.resources({"network_interface_name": "lo"}) == {"network_interface_name": "lo"}


def test_programs_are_told_sagemakers_name_of_the_host_where_it_is_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SAGEMAKER_BASE_DIR", raising=False)
    assert Path(program.preloaded("algo-1")["LD_PRELOAD"]).name.startswith("gethostname.")
    assert program.preloaded(socket.gethostname()) == {}
    monkeypatch.setenv("SAGEMAKER_BASE_DIR", "/elsewhere")
    assert program.preloaded("algo-1") == {}, "the library reads /opt/ml alone"


def test_a_name_that_nobody_knows_is_not_waited_for() -> None:
    assert program.resolves("localhost")
    assert not program.resolves("algo-1.invalid")
