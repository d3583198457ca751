"""What a person sees: one line an iteration, a bar on a terminal, everything else in the log file."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import IO, Any, Dict, Mapping, Optional, TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn


def capture(log: Path) -> TextIO:
    """Sends file descriptors 1 and 2 to ``log`` for the rest of the process; returns what was standard output.

    Descriptors and not Python's streams, because Ray's and TensorFlow's C++ and Ray's workers write to those.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    original = os.fdopen(os.dup(1), "w", buffering=1)
    descriptor = os.open(str(log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)
    return original


class Display:
    """Draws a job on ``stream``: a bar under the lines where it is a terminal, plain lines elsewhere.

    Each line also goes to standard output, which is the log file once :func:`capture` was called.
    """

    def __init__(self, stream: TextIO, stop: Mapping[str, float]) -> None:
        self._console = Console(file=stream, highlight=False, markup=False, soft_wrap=True)
        self._stop = stop
        self._started = time.monotonic()
        self._progress: Optional[Progress] = None
        self._task: Optional[TaskID] = None

    def __enter__(self) -> Display:
        if self._console.is_terminal and _has_size(self._console.file):
            columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
            self._progress = Progress(*columns, console=self._console, transient=True)
            self._task = self._progress.add_task("starting", total=1.0)
            self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._progress is not None:
            self._progress.stop()

    def say(self, text: str) -> None:
        """Prints one line, at once."""
        self._console.print(text)
        print(text, flush=True)

    def phase(self, text: str) -> None:
        """Says what is being done now, with the seconds since the start."""
        self.say(f"{time.monotonic() - self._started:6.1f} s  {text}")
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, description=text)

    def iteration(self, row: Mapping[str, Any]) -> None:
        """Prints the line of one iteration; ``row`` is one of :func:`rl_app.metrics.row`."""
        self.say(iteration_line(row, self._stop))
        if self._progress is not None and self._task is not None:
            part = max(distances(row, self._stop).values(), default=0.0)
            self._progress.update(self._task, description="training", completed=part)


def _has_size(stream: IO[str]) -> bool:
    """Whether somebody looks at a terminal: one that was made for a log, as SageMaker's local mode does, has none."""
    return os.get_terminal_size(stream.fileno()).columns > 0


def iteration_line(row: Mapping[str, Any], stop: Mapping[str, float]) -> str:
    """One iteration in one line, in which SageMaker finds what :mod:`rl_app.metric_definitions` says.

    Before the first episode has ended there is no reward, and none is printed: a NaN never matches and charts
    break on it. Numbers have no thousands separators, which SageMaker does not read.
    """
    if row["episode_reward_mean"] is None:
        reward = "no episode has ended yet"
    else:
        reward = (
            f"episode_reward_mean: {row['episode_reward_mean']:.2f}  min: {row['episode_reward_min']:.2f}  "
            f"episode_reward_max: {row['episode_reward_max']:.2f}"
        )
    parts = [
        f"iteration {row['training_iteration']:>4}",
        reward,
        f"{row['episodes_total']} episodes",
        f"{row['timesteps_total']} steps",
        f"{row['steps_per_s']:.0f} steps/s",
        f"{row['time_total_s']:.1f} s",
    ]
    goal = stop.get("episode_reward_mean")
    if goal is not None and row["episode_reward_mean"] is not None:
        missing = goal - row["episode_reward_mean"]
        parts.append(f"{missing:.2f} to go" if missing > 0 else "solved")
    return "  ".join(parts)


def distances(row: Mapping[str, Any], stop: Mapping[str, float]) -> Dict[str, float]:
    """How far along each stop condition is, from 0 to 1; conditions that have no value yet are left out."""
    return {
        key: min(max(row[key] / limit, 0.0), 1.0)
        for key, limit in stop.items()
        if row.get(key) is not None and limit > 0
    }
