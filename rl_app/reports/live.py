"""The report of a job that runs: written anew as the job goes on, and once more when it ends."""

from __future__ import annotations

import json
import math
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Callable, Optional, Tuple

from rl_app.files import TEMPORARY
from rl_app.job import metrics
from rl_app.policy.videos import found
from rl_app.reports.training import STILL_RUNNING, Outcome, render
from rl_app.storage import layout

VIDEOS = "videos"

# How often a page is written anew: every two seconds, a twentieth of the time, a mebibyte a second at most.
SHORTEST_INTERVAL_S = 2.0
SHARE_OF_TIME = 0.05
BYTES_PER_S = 1024 * 1024


class Live:
    """The report of a directory that has ``facts.json``, ``metrics.jsonl`` and ``videos/``."""

    def __init__(self, directory: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._directory = directory
        self._clock = clock
        self._shown: Any = None
        self._next = -math.inf

    def refresh(self) -> bool:
        """Write the report of the running job, where something new is to be seen and the last is old enough.

        Returns:
            Whether it was written.
        """
        seen = [_stamp(self._directory / name) for name in (layout.FACTS, layout.METRICS, VIDEOS)]
        if seen == self._shown or self._clock() < self._next:
            return False
        begun = self._clock()
        size = write(self._directory, STILL_RUNNING)
        took = self._clock() - begun
        self._shown = seen
        self._next = begun + max(SHORTEST_INTERVAL_S, took / SHARE_OF_TIME, size / BYTES_PER_S)
        return True


def _stamp(path: Path) -> Optional[Tuple[int, int]]:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_mtime_ns, status.st_size


def write(directory: Path, outcome: Outcome) -> int:
    """Write ``report.html`` from what lies beside it; return its size in bytes."""
    known = json.loads((directory / layout.FACTS).read_text())
    page = render(known, metrics.read(directory), found(directory / VIDEOS), outcome).encode()
    # one name: this process may be killed, and the trainer writes the last
    beside = directory / f"{TEMPORARY}{layout.REPORT}"
    try:
        beside.write_bytes(page)
        os.replace(beside, directory / layout.REPORT)
    finally:
        with suppress(FileNotFoundError):
            beside.unlink()
    return len(page)
