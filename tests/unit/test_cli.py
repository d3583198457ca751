"""What holds for every command line of scripts/."""

from __future__ import annotations

import os
import shlex
import subprocess

import pytest

from scripts.lib.environments import ROOT


def test_a_reader_that_has_had_enough_is_no_error() -> None:
    reads, writes = os.pipe()
    os.close(reads)
    done = subprocess.run([str(ROOT / "scripts" / "experiments")], stdout=writes, stderr=subprocess.PIPE, timeout=60)
    os.close(writes)
    assert (done.returncode, done.stderr) == (141, b"")


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
