"""A program on a real terminal: what it has written there, as a person reads it."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from pathlib import Path
from typing import List, Mapping, NamedTuple, Optional, Sequence

ESCAPE = re.compile(r"\x1b(\[[0-9;?]*[a-zA-Z]|[()][A-Z0-9])")


class Shown(NamedTuple):
    """The exit status, and all that came, escape codes and all."""

    status: int
    raw: str

    @property
    def lines(self) -> List[str]:
        """All that was written as lines, each time that it was: also what was drawn over later."""
        return [line.rstrip() for line in re.split(r"[\r\n]+", ESCAPE.sub("", self.raw)) if line.strip()]


def on_terminal(
    words: Sequence[str],
    columns: int,
    cwd: Path,
    deadline_s: float = 240.0,
    environ: Optional[Mapping[str, str]] = None,
) -> Shown:
    """Runs a program to its end on a terminal so wide; with 0 columns its size is not known."""
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 40 if columns else 0, columns, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color", **(environ or {})}
    for name in ("COLUMNS", "LINES", "NO_COLOR"):
        if name not in (environ or {}):
            environment.pop(name, None)
    process = subprocess.Popen(words, cwd=cwd, env=environment, stdin=its, stdout=its, stderr=its)
    os.close(its)
    came, deadline = bytearray(), time.monotonic() + deadline_s
    try:
        while select.select([ours], [], [], max(deadline - time.monotonic(), 0.0))[0]:
            try:
                came += os.read(ours, 65536)
            except OSError:  # the last who had the terminal open is gone
                return Shown(process.wait(deadline_s), came.decode("utf-8", "replace"))
        raise AssertionError(f"{words} did not end in {deadline_s} s:\n{came.decode('utf-8', 'replace')}")
    finally:
        os.close(ours)
        if process.poll() is None:
            process.kill()
            process.wait()
