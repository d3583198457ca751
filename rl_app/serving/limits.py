"""What a client may send, and how long it may take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from rl_app.serving.refusal import Refusal


@dataclass(frozen=True)
class BodyLimit:
    """The largest request in bytes, None for any, and the variable that says so."""

    size: Optional[int]
    setting: str

    def check(self, size: int) -> None:
        """Raise Refusal, 413, for a body that is larger."""
        if self.size is not None and size > self.size:
            raise Refusal(413, f"body: larger than {self.size} bytes, which is the limit ({self.setting})")


@dataclass(frozen=True)
class Timeouts:
    """Seconds: for a client to send a whole request or to take its answer, between requests, and to drain in."""

    client_s: float
    idle_s: float
    drain_s: float
