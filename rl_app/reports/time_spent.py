"""Where the time of a job went."""

from __future__ import annotations

import math
from typing import Dict, Iterable, List, NamedTuple, Optional, Sequence

from rl_app.job.metrics import Row


class Part(NamedTuple):
    """A part of the time; ``begins`` and ``share`` in per cent of the whole."""

    name: str
    seconds: float
    begins: float
    share: float


def parts(started: float, rows: Sequence[Row], ended: Optional[float]) -> List[Part]:
    """Return the parts in the order of the job, as they are drawn."""
    spent = time_spent(started, rows, ended)
    total, begins = sum(spent.values()), 0.0
    drawn = []
    for name, seconds in spent.items():
        share = 100 * seconds / total
        drawn.append(Part(name, seconds, begins, share))
        begins += share
    return drawn


def time_spent(started: float, rows: Sequence[Row], ended: Optional[float]) -> Dict[str, float]:
    """Second of this run by what they went into; rows of a run that this one goes on from do not count.

    RLlib's timers are means of one step of the optimizer, of which an iteration may have several.
    """
    ours = [row for row in rows if row["timestamp"] >= math.floor(started)]
    if not ours:
        return {}
    training = sum(row["time_this_iter_s"] for row in ours)
    sampling = _timed(ours, ("sample_time_ms",))
    learning = _timed(ours, ("load_time_ms", "grad_time_ms", "update_time_ms"))
    first, last = ours[0], ours[-1]
    spent = {
        "starting": first["timestamp"] - first["time_this_iter_s"] - started,
        "sampling": sampling,
        "learning": learning,
        "rest of the iterations" if sampling or learning else "iterations": training - sampling - learning,
        "between iterations": last["timestamp"] - first["timestamp"] - (training - first["time_this_iter_s"]),
        "export and last video": (ended or last["timestamp"]) - last["timestamp"],
    }
    return {part: seconds for part, seconds in spent.items() if seconds >= 0.05}


def _timed(rows: Iterable[Row], timers: Sequence[str]) -> float:
    steps = [(row, row["optimizer_steps_this_iter"]) for row in rows if row.get("optimizer_steps_this_iter")]
    return math.fsum(row[timer] * n / 1000 for row, n in steps for timer in timers if row.get(timer) is not None)
