"""Large batches a slice after the other, so that what is made of each row on the way is never there for all."""

from __future__ import annotations

import ctypes
from functools import lru_cache
from typing import Any, Callable, Iterator, Optional

from rl_app.policy.loading import Outputs

ROWS = 16_384
"""Of one slice."""


def slices(count: int) -> Iterator[slice]:
    """Yield the slices of so many rows; one, where they are few."""
    yield from (slice(start, min(start + ROWS, count)) for start in range(0, count, ROWS))


def sliced(outputs: Outputs) -> Iterator[Outputs]:
    """Yield the outputs of each slice."""
    for rows in slices(min(map(len, outputs.values()))):
        yield {name: values[rows] for name, values in outputs.items()}


def give_back_memory() -> None:
    """Return to the system what is free: the C library keeps it for a next time, which may never come."""
    trim = _trim()
    if trim:
        trim(0)


@lru_cache(maxsize=None)
def _trim() -> Optional[Callable[[int], Any]]:
    return getattr(ctypes.CDLL(None), "malloc_trim", None)  # of glibc alone
