"""How long a job may run, and after how long its interruption is rehearsed, as they are asked for."""

from __future__ import annotations

import re
from typing import Mapping, Optional

from rl_app.errors import UserError
from rl_app.job.settings import Settings


def max_run(raw: Mapping[str, str]) -> int:
    """Return the longest that the job may run, in seconds; raises UserError."""
    text = raw.get("max_run", str(Settings.max_run))
    try:
        seconds = int(float(text))
    except (ValueError, OverflowError):
        seconds = 0
    if seconds < 1:
        raise UserError(f"max_run = {text}: seconds, at least 1")
    return seconds


def until_interrupted(text: Optional[str]) -> Optional[float]:
    """Return after how many seconds a spot interruption is rehearsed, None for never; raises UserError."""
    if text is None:
        return None
    if not re.fullmatch(r"0*[1-9]\d{0,6}s?", text):
        raise UserError(f"--interrupt-after {text}: whole seconds, at least 1, such as 20 or 20s")
    return float(text.rstrip("s"))
