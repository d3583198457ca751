"""What is shown of a job that is followed: its log, its state, and a curve of its reward that grows."""

from __future__ import annotations

import os
import sys
from typing import List, Sequence

from rl_app.job import metric_definitions

WIDTH = 60
BARS = "▁▂▃▄▅▆▇█"


class Screen:
    """Log lines on standard output; the state and, on a terminal, a curve that grows, on standard error."""

    def __init__(self) -> None:
        self.rewards: List[float] = []
        self.live = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"

    def log(self, line: str) -> None:
        """Show one line of the job's log."""
        self._erase()
        print(line, flush=True)
        reward = metric_definitions.found(line).get("episode_reward_mean")
        if reward is not None:
            self.rewards.append(reward)
        self._draw()

    def say(self, line: str) -> None:
        """Show one line about the job."""
        self._erase()
        print(line, file=sys.stderr, flush=True)
        self._draw()

    def close(self) -> None:
        """Leave the curve, if there is one."""
        self._erase()
        self.live = False
        if self.rewards:
            print(fitted(self.rewards), file=sys.stderr, flush=True)

    def _erase(self) -> None:
        if self.live:
            print("\r\033[K", end="", file=sys.stderr, flush=True)

    def _draw(self) -> None:
        if self.live and self.rewards:
            print(fitted(self.rewards), end="", file=sys.stderr, flush=True)


def fitted(rewards: Sequence[float]) -> str:
    """Draw the curve as wide as the terminal lets one line be, for it is drawn over."""
    try:
        columns = os.get_terminal_size(sys.stderr.fileno()).columns or WIDTH
    except OSError:  # no terminal
        return curve(rewards)
    room = columns - len(curve(rewards, 1))
    return curve(rewards, max(1, min(WIDTH, room)))[: columns - 1]


def curve(rewards: Sequence[float], width: int = WIDTH) -> str:
    """Draw the mean reward over the iterations in one line of bars."""
    parts = min(width, len(rewards))
    cuts = [index * len(rewards) // parts for index in range(parts + 1)]
    means = [sum(rewards[start:end]) / (end - start) for start, end in zip(cuts, cuts[1:])]
    low, high = min(means), max(means)
    span = (high - low) or 1.0
    bars = "".join(BARS[int((mean - low) / span * (len(BARS) - 1))] for mean in means)
    return f"episode_reward_mean  {rewards[0]:.1f} {bars} {rewards[-1]:.1f}"
