"""When what failed is tried again."""

from __future__ import annotations

import time
from typing import Dict, Tuple

LONGEST_S = 30.0
"""Between two tries, and so the most by which a store that is back is noticed late."""


class Backoff:
    """Puts off what failed, each time for twice as long as before, from ``least`` seconds to :data:`LONGEST_S`."""

    def __init__(self, least: float) -> None:
        self._least = least
        self._put_off: Dict[str, Tuple[float, float]] = {}

    def failed(self, name: str) -> None:
        """Put it off."""
        _, last = self._put_off.get(name, (0.0, 0.0))
        pause = min(2 * last or self._least, LONGEST_S)
        self._put_off[name] = (time.monotonic() + pause, pause)

    def succeeded(self, name: str) -> None:
        """Forget that it ever failed."""
        self._put_off.pop(name, None)

    def is_due(self, name: str) -> bool:
        """Tell whether it may be tried."""
        due, _ = self._put_off.get(name, (0.0, 0.0))
        return time.monotonic() >= due
