"""The bar under a job's lines on a terminal: what is being done, how far it is, and how long it still takes."""

from __future__ import annotations

import time
from typing import Optional

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
from rich.table import Column
from rich.text import Text

from rl_app.terminal.time_left import in_words

WIDEST = 30


class Bar:
    """A bar in one line of the terminal, whatever its width."""

    def __init__(self, console: Console) -> None:
        whole = Column(no_wrap=True, overflow="ellipsis", ratio=1)
        self._left = TimeLeft()
        self._progress = Progress(
            TextColumn("{task.description}", table_column=whole),
            BarColumn(bar_width=min(WIDEST, console.width // 4)),
            TextColumn("{task.percentage:>3.0f} %"),
            self._left,
            console=console,
            expand=True,
            transient=True,
            # The log is not the terminal: else all that a library prints would come to the one and not to the other
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._task = self._progress.add_task("starting", total=1.0)

    def start(self) -> None:
        """Draw it, again and again."""
        self._progress.start()

    def stop(self) -> None:
        """Take it away."""
        self._progress.stop()

    def name(self, doing: str) -> None:
        """Name what is being done."""
        self._progress.update(self._task, description=doing)

    def move(self, part: float, seconds_left: Optional[float]) -> None:
        """Move it to a part of the whole, from 0 to 1, and show the time left where that is known."""
        self._left.until = None if seconds_left is None else time.monotonic() + seconds_left
        self._progress.update(self._task, completed=part)


class TimeLeft(ProgressColumn):
    """The time left, which runs down between two iterations."""

    max_refresh = 0.5

    def __init__(self) -> None:
        super().__init__(Column(no_wrap=True))
        self.until: Optional[float] = None

    def render(self, _: Task) -> Text:
        """As rich draws it."""
        if self.until is None:
            return Text("")
        return Text(f"{in_words(max(self.until - time.monotonic(), 0.0))} left")
