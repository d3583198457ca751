"""RLlib's observation filters over many observations at once, with the same result as one after the other."""

from __future__ import annotations

from typing import Any

import numpy as np
from ray.rllib.utils.filter import ConcurrentMeanStdFilter, MeanStdFilter, NoFilter, RunningStat

Array = Any  # np.ndarray, which has no parameters on Python 3.8


def filtered(kept: Any, rows: Array) -> Array:
    """Return what the filter ``kept`` makes of the rows in their order, each seen before it is normalized."""
    if type(kept) is NoFilter:
        return rows
    if type(kept) in (MeanStdFilter, ConcurrentMeanStdFilter):
        return normalized(kept, np.asarray(rows, np.float64))
    return np.stack([kept(row) for row in rows])


def normalized(kept: MeanStdFilter, rows: Array) -> Array:
    """MeanStdFilter over all rows: the mean and the deviation that it has after each of them."""
    means, squares = running(kept.rs, rows)
    count = column(kept.rs.n + np.arange(1, len(rows) + 1), rows)
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = np.where(count > 1, squares / (count - 1), np.square(means))
    for stat in (kept.rs, kept.buffer):
        push(stat, rows)
    if kept.demean:
        rows = rows - means
    if kept.destd:
        rows = rows / (np.sqrt(variance) + 1e-8)
    return np.clip(rows, -kept.clip, kept.clip) if kept.clip else rows


def push(stat: RunningStat, rows: Array) -> None:
    """Have a RunningStat see the rows."""
    means, squares = running(stat, rows)
    stat._n += len(rows)
    stat._M, stat._S = means[-1].copy(), squares[-1].copy()


def running(stat: RunningStat, rows: Array) -> Any:
    """Return the mean, and the sum of the squares of what differs from it, after each of the rows (Welford)."""
    before = column(stat.n + np.arange(len(rows)), rows)
    origin = stat._M if stat.n else rows[0]
    means = origin + np.cumsum(rows - origin, axis=0) / (before + 1)
    earlier = np.concatenate([np.broadcast_to(origin, (1, *rows.shape[1:])), means[:-1]])
    squares = stat._S + np.cumsum(np.square(rows - earlier) * before / (before + 1), axis=0)
    return means, squares


def column(numbers: Array, rows: Array) -> Array:
    """Return a number a row, shaped so that it broadcasts over it."""
    return numbers.reshape((-1, *[1] * (rows.ndim - 1)))
