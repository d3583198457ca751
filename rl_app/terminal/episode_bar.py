"""What a person sees of an evaluation: a bar on a terminal, a line an episode where the output is piped."""

from __future__ import annotations

import os
from contextlib import contextmanager
from statistics import fmean
from typing import Callable, Iterator, List, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

Played = Callable[[float, int], None]
"""Is told the reward and the length of each episode when it has ended."""


class Display:
    """Says lines on ``stream``, and how far the episodes are."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._console = Console(file=stream, highlight=False, markup=False, soft_wrap=True)
        # a terminal that was made for a log has no width
        self.is_terminal = self._console.is_terminal and os.get_terminal_size(stream.fileno()).columns > 0

    def say(self, line: str) -> None:
        """Print one line, at once."""
        if self.is_terminal:
            self._console.print(line)
        else:
            print(line, file=self._stream, flush=True)

    @contextmanager
    def playing(self, total: int) -> Iterator[Played]:
        """Show the episodes of one model; yields what is to be told of each."""
        if self.is_terminal:
            with self._bar(total) as played:
                yield played
            return
        rewards: List[float] = []

        def say(reward: float, length: int) -> None:
            rewards.append(reward)
            self.say(f"Episode reward: {reward}. Episode steps: {length}")

        yield say
        if rewards:
            self.say(f"Mean Reward: {fmean(rewards)}")
            self.say(f"Max Reward: {max(rewards)}")
            self.say(f"Min Reward: {min(rewards)}")
            # for SageMaker, which finds metrics by their training's names
            self.say(f"episode_reward_mean: {fmean(rewards):.2f}  episode_reward_max: {max(rewards):.2f}")

    @contextmanager
    def _bar(self, total: int) -> Iterator[Played]:
        columns = (
            TextColumn("episodes"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.description}"),
            TimeRemainingColumn(),
        )
        rewards: List[float] = []
        # the standard streams may have been sent to a log, and stay so
        with Progress(
            *columns, console=self._console, transient=True, redirect_stdout=False, redirect_stderr=False
        ) as bar:
            task = bar.add_task("", total=total)

            def played(reward: float, _: int) -> None:
                rewards.append(reward)
                bar.update(task, advance=1, description=f"mean {fmean(rewards):.2f}")

            yield played
