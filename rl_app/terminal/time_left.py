"""How long a job still takes, from how its numbers have moved towards its stop conditions."""

from __future__ import annotations

from typing import Any, List, Mapping, Optional, Sequence, Tuple

WINDOW = 20
"""Iterations that an estimate looks back on."""
CLOCK = "time_total_s"

Point = Tuple[float, float]


def seconds_left(rows: Sequence[Mapping[str, Any]], stop: Mapping[str, float]) -> Optional[float]:
    """Estimate when the first stop condition holds, from the latest rows; None where nothing can be said.

    What counts up (steps, iterations, episodes) and a reward are taken to go on as a straight line through them.
    """
    estimates = [reached_in(points(rows[-WINDOW:], key), limit) for key, limit in stop.items()]
    return min((seconds for seconds in estimates if seconds is not None), default=None)


def points(rows: Sequence[Mapping[str, Any]], key: str) -> List[Point]:
    """Return the metric over the time; what only counts began at nothing."""
    seen = [(row[CLOCK], row[key]) for row in rows if row.get(key) is not None and row.get(CLOCK) is not None]
    counts = key == CLOCK or key == "training_iteration" or (key.endswith("_total") and "reward" not in key)
    return [(0.0, 0.0), *seen] if counts and len(seen) == 1 else seen


def reached_in(line: Sequence[Point], limit: float) -> Optional[float]:
    """Second from the last point until the line through all of them is at the limit; None where it never is."""
    if len(line) < 2:
        return None
    middle = sum(time for time, _ in line) / len(line)
    level = sum(value for _, value in line) / len(line)
    spread = sum((time - middle) ** 2 for time, _ in line)
    slope = sum((time - middle) * (value - level) for time, value in line) / spread if spread else 0.0
    missing = limit - line[-1][1]
    if missing <= 0:
        return 0.0
    return missing / slope if slope > 0 else None


def in_words(seconds: float) -> str:
    """Return the time in the two largest of its units, as a person takes it."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s" if whole < 600 else f"{whole // 60} min"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min" if whole < 360_000 else f"{whole // 86_400} days"
