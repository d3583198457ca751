"""What holds for every command line of scripts/."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import List, Tuple

import pytest

from scripts.lib.environments import ROOT
from tests.waiting import until


def test_a_reader_that_has_had_enough_is_no_error() -> None:
    reads, writes = os.pipe()
    os.close(reads)
    done = subprocess.run([str(ROOT / "scripts" / "experiments")], stdout=writes, stderr=subprocess.PIPE, timeout=60)
    os.close(writes)
    assert (done.returncode, done.stderr) == (141, b"")


def interrupted(words: List[str], cwd: Path, sign: Path) -> Tuple[int, str]:
    """How a program ends that gets Ctrl-C once there is a sign of it, and what it says."""
    process = subprocess.Popen(words, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        until(sign.exists)
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=20)
    finally:
        process.kill()
    return process.returncode, said


SLOW = "import pathlib, time; pathlib.Path('here').touch(); time.sleep(60)\n"


def test_ctrl_c_before_a_command_has_begun_ends_it_without_a_word(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts", symlinks=True)
    (tmp_path / "scripts" / "commands" / "slow.py").write_text(SLOW)
    (tmp_path / "scripts" / "slow").symlink_to("lib/launcher.py")
    words = [sys.executable, str(tmp_path / "scripts" / "slow")]
    assert interrupted(words, tmp_path, tmp_path / "here") == (-signal.SIGINT, "")


def test_so_does_one_in_the_container(tmp_path: Path) -> None:
    (tmp_path / "rl_app").symlink_to(ROOT / "rl_app")
    (tmp_path / "slow").mkdir()
    (tmp_path / "slow" / "argparse.py").write_text(SLOW)
    code = f"import sys; sys.path.insert(0, {str(tmp_path / 'slow')!r}); sys.argv = ['rl_app', 'local', 'train']\n"
    run = f"{code}import runpy; runpy.run_module('rl_app', run_name='__main__')"
    assert interrupted([sys.executable, "-c", run], tmp_path, tmp_path / "here") == (128 + signal.SIGINT, "")


BACKGROUND = """
import os, sys
sys.path.insert(0, sys.argv[1])
from scripts.lib import engine
pid = os.fork()
if pid == 0:
    os.setpgid(0, 0)
    os._exit(engine.on_terminal())
print(engine.on_terminal(), bool(os.WEXITSTATUS(os.waitpid(pid, 0)[1])))
"""


def test_in_the_background_of_a_shell_nobody_types() -> None:
    words = [sys.executable, "-c", BACKGROUND, str(ROOT)]
    see = f"import pty, sys; sys.exit(pty.spawn({words!r}))"  # its terminal controls what it starts
    done = subprocess.run([sys.executable, "-c", see], stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
    assert done.stdout.split() == [b"True", b"False"], done


def typed(command: str) -> subprocess.CompletedProcess[str]:
    """A script as a shell starts it, with its redirections."""
    return subprocess.run(
        ["sh", "-c", f"{shlex.quote(str(ROOT))}/scripts/{command}"], capture_output=True, text=True, timeout=60
    )


def test_an_output_that_takes_no_more_is_named_in_one_line() -> None:
    done = typed("experiments >/dev/full")
    assert (done.returncode, done.stderr) == (1, "standard output: No space left on device\n")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_command_does_its_work_without_a_stream(closed: str) -> None:
    whole, done = typed("experiments"), typed(f"experiments {closed}")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == ("" if ">&- " in f"{closed} ".replace("2>&-", "") else whole.stdout)


def test_what_is_said_beside_the_results_is_none_of_them_where_it_has_no_stream() -> None:
    done = typed("experiments no-such 2>&-")
    assert (done.returncode, done.stdout) == (2, "")
