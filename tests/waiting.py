"""Waits for a condition, with a deadline."""

from __future__ import annotations

import time
from typing import Callable


def until(condition: Callable[[], object], timeout: float = 15.0) -> None:
    """Returns once the condition holds (an error in it counts as no); fails after ``timeout`` s.

    It is not asked for more than half of the time: what it waits for may need the core.
    """
    deadline = time.monotonic() + timeout
    while True:
        began = time.monotonic()
        try:
            if condition():
                return
            error = None
        except Exception as raised:
            error = raised
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout} s: {condition}") from error
        time.sleep(min(max(0.02, time.monotonic() - began), 1.0))
