"""The curves of a report as columns of numbers, thinned to what a page can hold, and which of them are drawn."""

from __future__ import annotations

import math
from typing import Callable, Dict, List, NamedTuple, Optional, Sequence

from rl_app.job import learning
from rl_app.job.metrics import Row

# How many points a page holds, so that it opens at once on a phone and is quick to upload time and again.
MOST_POINTS = 500

Column = List[Optional[float]]

EDGES = ("evaluation_reward_min", "evaluation_reward_max")
"""Not charts of their own, but the band around the mean of the same episodes."""


class Chart(NamedTuple):
    """A small chart of one column; ``key`` is the metric's name in metrics.jsonl, ``title`` is for people."""

    key: str
    title: str


def charts(rows: Sequence[Row]) -> List[Chart]:
    """Return the small charts under the reward: of what this algorithm has, in the order of the table of metrics."""
    drawn = [metric for metric in learning.METRICS if metric.name not in EDGES]
    known = [Chart(metric.name, metric.title) for metric in drawn if _has(rows, metric.name)]
    named = dict.fromkeys(key for row in rows for key in row if learning.is_custom(key) or learning.is_of_policy(key))
    own = [Chart(key, learning.title(key)) for key in named if _has(rows, key)]
    rewards = [chart for chart in own if chart.key.startswith(learning.OF_POLICY)]
    return [*rewards, *known, *(chart for chart in own if chart not in rewards)]


def _has(rows: Sequence[Row], key: str) -> bool:
    return any(row.get(key) is not None for row in rows)


def columns(rows: Sequence[Row], most: int = MOST_POINTS) -> Dict[str, Column]:
    """Return the column of each small chart and of the edges, of as many points as those of :func:`thinned`."""
    buckets = _buckets(rows, most)
    edges = {edge: _column(buckets, edge, least) for edge, least in zip(EDGES, (min, max)) if _has(rows, edge)}
    return {**{chart.key: _column(buckets, chart.key, _mean) for chart in charts(rows)}, **edges}


def thinned(rows: Sequence[Row], most: int = MOST_POINTS) -> Dict[str, Column]:
    """At most ``most`` points, as columns; each stands for as many rows, with their whole spread."""
    buckets = _buckets(rows, most)
    steps = [sum(row["timesteps_this_iter"] or 0 for row in bucket) for bucket in buckets]
    seconds = [sum(row["time_this_iter_s"] or 0 for row in bucket) for bucket in buckets]
    return {
        "iteration": [bucket[-1]["training_iteration"] for bucket in buckets],
        "steps": [bucket[-1]["timesteps_total"] for bucket in buckets],
        "time": [round(bucket[-1]["time_total_s"], 2) for bucket in buckets],
        "mean": _column(buckets, "episode_reward_mean", _mean),
        "deviation": _column(buckets, "episode_reward_std", _mean),
        "low": _column(buckets, "episode_reward_min", min),
        "high": _column(buckets, "episode_reward_max", max),
        "throughput": [round(n / s, 1) if s else None for n, s in zip(steps, seconds)],
    }


def _buckets(rows: Sequence[Row], most: int) -> List[Sequence[Row]]:
    size = max(1, math.ceil(len(rows) / most))
    return [rows[i : i + size] for i in range(0, len(rows), size)]


def _column(buckets: Sequence[Sequence[Row]], key: str, combine: Callable[[List[float]], float]) -> Column:
    values = ([row[key] for row in bucket if row.get(key) is not None] for bucket in buckets)
    return [_rounded(combine(each)) if each else None for each in values]


def _rounded(value: float) -> float:
    """To six digits, as a curve needs no more: a learning rate has them far behind the point."""
    return float(f"{value:.6g}")


def _mean(values: List[float]) -> float:
    return sum(values) / len(values)
