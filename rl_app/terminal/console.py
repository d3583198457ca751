"""What a person sees: one line an iteration, a bar on a terminal, everything else in the log file."""

from __future__ import annotations

import io
import os
import sys
import time
from collections import deque
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Deque, Dict, Iterator, Mapping, Optional, TextIO

from rich.console import Console

from rl_app.terminal.bar import Bar
from rl_app.terminal.time_left import WINDOW, seconds_left


def capture(log: Path) -> TextIO:
    """Send file descriptors 1 and 2 to ``log`` for the rest of the process; return what was standard output.

    Descriptors and not Python's streams, because Ray's and TensorFlow's C++ and Ray's workers write to those.
    What is returned takes no harm where nobody reads any more.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    original = person(sys.stdout)
    descriptor = os.open(str(log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)
    return original


def person(stream: TextIO) -> TextIO:
    """Return the same stream, wherever its file descriptor is sent later, which takes no harm where nobody reads."""
    return Person(io.FileIO(os.dup(stream.fileno()), "w"))


class Person(io.TextIOWrapper):
    """Where a person reads of a job, which goes on without where that takes no more.

    It may be a pipe into `tee`, which ends by the same Ctrl-C that has the job save what it has learned, a terminal
    that was closed, or a file on a disk that is full.
    """

    def __init__(self, output: io.FileIO) -> None:
        encoding = sys.stdout.encoding
        super().__init__(io.BufferedWriter(output), encoding=encoding, errors="replace", line_buffering=True)

    def write(self, text: str) -> int:
        """Write what can be written."""
        with self._unharmed():
            super().write(text)
        return len(text)

    def flush(self) -> None:
        """Do so at once."""
        with self._unharmed():
            super().flush()

    @contextmanager
    def _unharmed(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            with open(os.devnull, "w") as nowhere, suppress(OSError):
                if os.path.sameopenfile(1, self.fileno()):  # to which an environment may print
                    os.dup2(nowhere.fileno(), 1)
                os.dup2(nowhere.fileno(), self.fileno())
                print(f"standard output: {error.strerror}; the job goes on without it", flush=True)


class Display:
    """Draws a job on ``stream``: a bar under the lines where it is a terminal, plain lines elsewhere.

    Each line also goes to standard output, which is the log file once :func:`capture` was called. There it is whole;
    on a terminal that is too narrow for it, an iteration's line is a shorter one.
    """

    def __init__(self, stream: TextIO, stop: Mapping[str, float]) -> None:
        self._console = Console(file=stream, highlight=False, markup=False, soft_wrap=True)
        self._stop = stop
        self._started = time.monotonic()
        self._rows: Deque[Mapping[str, Any]] = deque(maxlen=WINDOW)
        self._bar: Optional[Bar] = None

    def __enter__(self) -> Display:
        if self._console.is_terminal and _has_size(self._console.file):
            self._bar = Bar(self._console)
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def say(self, text: str) -> None:
        """Print one line, at once."""
        self._show(text)
        print(text, flush=True)

    def now(self, doing: str) -> None:
        """Name what is being done beside the bar, where there is one."""
        if self._bar is not None:
            self._bar.name(doing)

    def phase(self, text: str) -> None:
        """Say what is being done now, with the seconds since the start."""
        self.say(f"{time.monotonic() - self._started:6.1f} s  {text}")
        self.now(text)

    def iteration(self, row: Mapping[str, Any]) -> None:
        """Print the line of one iteration; ``row`` is one of :func:`rl_app.job.metrics.row`."""
        line = iteration_line(row, self._stop)
        fits = self._bar is None or len(line) <= self._console.width
        self._show(line if fits else compact_line(row, self._stop, self._console.width))
        print(line, flush=True)
        self._rows.append(row)
        if self._bar is not None:
            part = max(distances(row, self._stop).values(), default=0.0)
            self._bar.move(part, seconds_left(list(self._rows), self._stop))

    def _show(self, text: str) -> None:
        # On a terminal, words of a long line go to the next one whole
        self._console.print(text, soft_wrap=self._bar is None)


def _has_size(stream: IO[str]) -> bool:
    """Return whether somebody looks at a terminal; at one made for a log, as in SageMaker's local mode, nobody does."""
    return os.get_terminal_size(stream.fileno()).columns > 0


def iteration_line(row: Mapping[str, Any], stop: Mapping[str, float]) -> str:
    """Return one iteration in one line, in which SageMaker finds what :mod:`rl_app.job.metric_definitions` says.

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
        f"{row['steps_per_s'] or 0:.0f} steps/s",
        f"{row['time_total_s']:.1f} s",
    ]
    goal = stop.get("episode_reward_mean")
    if goal is not None and row["episode_reward_mean"] is not None:
        missing = goal - row["episode_reward_mean"]
        parts.append(f"{missing:.2f} to go" if missing > 0 else "solved")
    return "  ".join(parts)


def compact_line(row: Mapping[str, Any], stop: Mapping[str, float], width: int) -> str:
    """Return the same for a narrow terminal: what matters most comes first, and what has no room is left out."""
    reward, goal = row["episode_reward_mean"], stop.get("episode_reward_mean")
    parts = [f"iteration {row['training_iteration']:>4}"]
    parts.append("no episode has ended yet" if reward is None else f"reward {reward:.2f}")
    if goal is not None and reward is not None:
        parts.append(f"{goal - reward:.2f} to go" if reward < goal else "solved")
    parts += [f"{row['timesteps_total']} steps", f"{row['steps_per_s']:.0f} steps/s", f"{row['time_total_s']:.1f} s"]
    while len("  ".join(parts)) > width and len(parts) > 1:
        parts.pop()
    return "  ".join(parts)


def distances(row: Mapping[str, Any], stop: Mapping[str, float]) -> Dict[str, float]:
    """Return how far along each stop condition is, from 0 to 1; conditions that have no value yet are left out."""
    return {
        key: min(max(row[key] / limit, 0.0), 1.0)
        for key, limit in stop.items()
        if row.get(key) is not None and limit > 0
    }
