"""What the benchmarks share: a program timed by the lines that it prints, and figures as a table."""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Iterable, List, Mapping, Optional, Pattern, Sequence

REPOSITORY = Path(__file__).resolve().parents[1]
TRAIN = str(REPOSITORY / "scripts" / "train")
FIRST_ITERATION = re.compile(r"iteration +1 ")
SOLVED = re.compile(r"^iteration .* (?P<steps>\d+) steps .* solved$")
# No experiment runs longer than 15 minutes, by its own stop conditions.
DEADLINE_S = 1200.0


class Line:
    """A line that a program printed, and after how many seconds."""

    def __init__(self, text: str, after_s: float) -> None:
        self.text, self.after_s = text, after_s


def lines(
    words: Sequence[str], deadline_s: float = DEADLINE_S, environ: Optional[Mapping[str, str]] = None
) -> List[Line]:
    """Runs a program to its end; stops the program where it takes too long, and the benchmark where it fails."""
    began = time.monotonic()
    seen: List[Line] = []
    with subprocess.Popen(
        words,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        universal_newlines=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1", **(environ or {})},
    ) as process:
        assert process.stdout is not None
        too_long = threading.Timer(deadline_s, process.terminate)
        too_long.start()
        for text in process.stdout:
            seen.append(Line(text.rstrip("\n"), time.monotonic() - began))
        too_long.cancel()
        if process.wait() != 0 and time.monotonic() - began < deadline_s:
            raise SystemExit("\n".join([*(line.text for line in seen), f"{words}: exit status {process.returncode}"]))
    return seen + [Line("", time.monotonic() - began)]


def first(pattern: Pattern[str], printed: Iterable[Line]) -> Optional[Line]:
    """The first line with the pattern; None where there is none."""
    return next((line for line in printed if pattern.search(line.text)), None)


def steps_of(line: Line) -> int:
    """The environment's steps up to an iteration that is solved."""
    matched = SOLVED.search(line.text)
    assert matched is not None
    return int(matched.group("steps"))


def set_up() -> None:
    """Makes what `scripts/train --engine process` runs in, which is not to be counted."""
    from scripts.lib.environments import IMAGE, ensure

    ensure([IMAGE])


def train(*words: str, deadline_s: float = DEADLINE_S) -> List[Line]:
    """Runs `scripts/train --engine process`."""
    return lines([TRAIN, "--engine", "process", *words], deadline_s)


def middle(values: Sequence[float], digits: int = 0) -> str:
    """The median, with the lowest and the highest in brackets."""
    if not values:
        return "none"
    low, median, high = min(values), statistics.median(values), max(values)
    return f"{median:,.{digits}f} ({low:,.{digits}f} to {high:,.{digits}f})"


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table as the guides have them."""
    return "\n".join("| " + " | ".join(row) + " |" for row in [header, ["---"] * len(header), *rows])


def note(text: str) -> None:
    """Says how far it is, beside the results."""
    print(text, file=sys.stderr, flush=True)
