"""The numbers of a job: one flat row an iteration, kept as JSON lines that survive a restart."""

from __future__ import annotations

import json
import logging
import math
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence

from rl_app.files import write_text
from rl_app.job import learning
from rl_app.storage import layout

Row = Dict[str, Any]

logger = logging.getLogger(__name__)

_FROM_RESULT = (
    "training_iteration",
    "episode_reward_mean",
    "episode_reward_min",
    "episode_reward_max",
    "episode_len_mean",
    "episodes_this_iter",
    "episodes_total",
    "timesteps_this_iter",
    "timesteps_total",
    "time_this_iter_s",
    "time_total_s",
    "timestamp",
    "optimizer_steps_this_iter",
)
_TIMERS = ("sample_time_ms", "load_time_ms", "grad_time_ms", "update_time_ms")


def row(result: Mapping[str, Any], before: Optional[Row] = None) -> Row:
    """Flatten a result of ``Trainer.train()``; what is not a number yet (a mean of no episodes) is None.

    Args:
        before: the row of the iteration before, if it is known.

    Returns:
        RLlib's own keys, with ``steps_per_s``, the standard deviation of the episodes' rewards, and, where the
        algorithm has them, the columns of :mod:`rl_app.job.learning` and the optimizer's timers (milliseconds an
        iteration, smoothed by RLlib).
    """
    rewards = result.get("hist_stats", {}).get("episode_reward", [])
    info = result.get("info", {})
    flat: Row = {key: result.get(key) for key in _FROM_RESULT}
    flat["timesteps_this_iter"] = steps = _steps(result, before)
    flat["episode_reward_std"] = _deviation(rewards)
    flat["steps_per_s"] = None if steps is None else steps / max(flat["time_this_iter_s"], 1e-9)
    flat.update({timer: info[timer] for timer in _TIMERS if timer in info})
    return {**{key: _number(value) for key, value in flat.items()}, **learning.columns(result)}


def _steps(result: Mapping[str, Any], before: Optional[Row]) -> Optional[int]:
    """Return the environment steps of the iteration, which algorithms that RLlib runs by an execution plan do not say.

    None where only the total is known, and not that of the iteration before: its row was lost.
    """
    steps: Optional[int] = result.get("timesteps_this_iter")
    total: Optional[int] = result.get("timesteps_total")
    if steps is not None or total is None:
        return steps
    if before is not None and before["training_iteration"] == result["training_iteration"] - 1:
        return max(0, total - (before["timesteps_total"] or 0))
    return total if result["training_iteration"] == 1 else None


def _deviation(values: Sequence[float]) -> Optional[float]:
    if not values:
        return None
    mean = sum(values) / len(values)
    return math.sqrt(sum((value - mean) ** 2 for value in values) / len(values))


def _number(value: Any) -> Any:
    """Return a plain Python number (RLlib mixes in NumPy's), or None for what JSON cannot hold."""
    if value is None or isinstance(value, (int, str)):
        return value
    number = float(value)
    return number if math.isfinite(number) else None


class History:
    """The rows of a job, in memory and in ``metrics.jsonl`` of each directory given."""

    def __init__(self, directories: Sequence[Path]) -> None:
        self._files = [directory / layout.METRICS for directory in directories]
        self.rows: List[Row] = []

    def resume(self, source: Path, iteration: int) -> None:
        """Take over the rows up to ``iteration`` from ``source/metrics.jsonl``, dropping what came later."""
        self.rows = [known for known in read(source) if known.get("training_iteration", math.inf) <= iteration]
        text = "".join(json.dumps(known) + "\n" for known in self.rows)
        for file in self._files:
            write_text(file, text)

    def add(self, latest: Row) -> None:
        """Append one row, which is in the files when this returns."""
        self.rows.append(latest)
        for file in self._files:
            with file.open("a") as stream:
                stream.write(json.dumps(latest) + "\n")

    @property
    def latest(self) -> Optional[Row]:
        """The newest row, if there is one."""
        return self.rows[-1] if self.rows else None

    def reward_of(self, iteration: int) -> float:
        """Return the mean reward seen at ``iteration``, that of its evaluation where training plays no episodes.

        Where no episode had ended it is minus infinity.
        """
        for known in reversed(self.rows):
            rewards = (known["episode_reward_mean"], known.get("evaluation_reward_mean"))
            if known["training_iteration"] == iteration and rewards != (None, None):
                return float(next(reward for reward in rewards if reward is not None))
        return -math.inf


def read(directory: Path) -> List[Row]:
    """Read the rows of ``directory/metrics.jsonl``.

    A last line that a crash cut short is left out, and one that is no row is left out with a warning.
    """
    file = directory / layout.METRICS
    if not file.exists():
        return []
    return rows_of(file.read_text(encoding="utf-8", errors="replace"), str(file))


def rows_of(text: str, file: str) -> List[Row]:
    """Read the rows of a metrics.jsonl, which is called ``file`` in warnings."""
    lines = text.split("\n")[:-1]
    rows = [_read_row(line, f"{file}, line {number}") for number, line in enumerate(lines, 1)]
    return [known for known in rows if known is not None]


def reached(latest: Optional[Row], stop_at: Mapping[str, float]) -> List[str]:
    """Return the stop conditions that hold, by Tune's rule: the metric is at least the limit."""
    row = latest or {}
    return [key for key, limit in stop_at.items() if row.get(key) is not None and row[key] >= limit]


def _read_row(line: str, where: str) -> Optional[Row]:
    try:
        known = json.loads(line)
    except ValueError:
        known = None
    if isinstance(known, dict):
        return known
    logger.warning("%s: no row of metrics, left out", where)
    return None
