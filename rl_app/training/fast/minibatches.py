"""Which steps of a batch each step of SGD learns from, drawn as RLlib's two optimizers draw them."""

from __future__ import annotations

import random
from typing import Any, Iterator, List, NamedTuple, Tuple

import numpy as np

Array = Any  # np.ndarray, which has no parameters on Python 3.8
Bounds = List[Tuple[int, int]]


class Minibatches(NamedTuple):
    """Rows of the batch, and of each step of SGD the part of ``rows`` that it learns from."""

    rows: Array
    bounds: Array
    last_epoch: int
    """The first step of the last epoch."""

    def epochs(self) -> Iterator[Epoch]:
        """Yield the epochs, each with its rows and the parts of these."""
        for bounds in self.bounds.reshape(-1, len(self.bounds) - self.last_epoch, 2):
            first = bounds.min()
            yield Epoch(self.rows[first : bounds.max()], (bounds - first).tolist())


class Epoch(NamedTuple):
    """Rows of the batch, and of each step of SGD the part of them that it learns from."""

    rows: Array
    bounds: Bounds


def simple(count: int, size: int, epochs: int) -> Minibatches:
    """As SyncSamplesOptimizer: all rows are shuffled anew for each epoch, and the slices too."""
    size = size or count
    rows, bounds, order = [], [], np.arange(count)
    for epoch in range(epochs):
        if size < count or count == size:
            order = order[np.random.permutation(count)]
        slices: List[Tuple[int, int]] = [(start, min(start + size, count)) for start in range(0, count, size)]
        random.shuffle(slices)
        rows.append(order)
        bounds += [(epoch * count + start, epoch * count + stop) for start, stop in slices]
    return _made(np.concatenate(rows), bounds, epochs)


def sliced(count: int, size: int, epochs: int, shuffled: bool) -> Minibatches:
    """As LocalMultiGPUOptimizer on one device: rows are shuffled once, what is left over is dropped."""
    size = min(size, count)
    order = np.random.permutation(count) if shuffled else np.arange(count)
    bounds: Bounds = []
    for _ in range(epochs):
        bounds += [(number * size, number * size + size) for number in np.random.permutation(count // size)]
    return _made(order[: count - count % size], bounds, epochs)


def _made(rows: Array, bounds: Bounds, epochs: int) -> Minibatches:
    return Minibatches(rows.astype(np.int32), np.array(bounds, np.int32), len(bounds) - len(bounds) // epochs)
