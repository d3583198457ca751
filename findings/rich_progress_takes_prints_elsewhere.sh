#!/usr/bin/env bash
# What happens: rich 14.3.4: while a Progress runs whose console is a terminal, print() and what is written to
#   sys.stderr go to that console, though it draws on another stream than either; sys.stdout gets nothing.
# One would have guessed: a progress bar on one stream leaves what a program prints on another alone; the
#   redirection is for a bar and prints that share a terminal.
# Where it matters: a job that has sent its standard output to a log file and draws its bar on the terminal finds
#   its log empty and its lines on the screen; redirect_stdout=False, redirect_stderr=False leave both alone.
#
# Needs Python 3.11 (PYTHON names it, where it is not python3.11 on PATH) and a package index; takes about a minute.
# Exit status: 0 the library still behaves so, 1 it does not.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3.11}" -m venv "$work/env"
"$work/env/bin/pip" install --quiet --disable-pip-version-check 'rich==14.3.4'
cd "$work"
cat > check.py <<'PYTHON'
import contextlib
import io
import sys

from rich.console import Console
from rich.progress import Progress


def printed(**options: bool) -> "tuple[str, str]":
    """(what standard output got, what the bar's stream got) of a print beside a bar."""
    log, screen = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(log):
        with Progress(console=Console(file=screen, force_terminal=True, width=80), **options):
            print("a line for the log")
    return log.getvalue(), screen.getvalue()


taken_log, taken_screen = printed()
left_log, left_screen = printed(redirect_stdout=False, redirect_stderr=False)
print(f"by default the log has {taken_log!r}; with redirect_stdout=False {left_log!r}")
sys.exit(
    not (
        taken_log == ""
        and "a line for the log" in taken_screen
        and left_log == "a line for the log\n"
        and "a line for the log" not in left_screen
    )
)
PYTHON
env/bin/python check.py
