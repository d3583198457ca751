"""The numbers of a job: one flat row an iteration, kept as JSON lines that survive a restart."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence

Row = Dict[str, Any]

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


def row(result: Mapping[str, Any]) -> Row:
    """Flattens a result of ``Trainer.train()``; what is not a number yet (a mean of no episodes) is None.

    Returns:
        RLlib's own keys, with ``steps_per_s``, the standard deviation of the episodes' rewards, and the
        optimizer's timers (milliseconds an iteration, smoothed by RLlib) where the algorithm has them.
    """
    rewards = result.get("hist_stats", {}).get("episode_reward", [])
    info = result.get("info", {})
    flat: Row = {key: result.get(key) for key in _FROM_RESULT}
    flat["episode_reward_std"] = _deviation(rewards)
    flat["steps_per_s"] = (flat["timesteps_this_iter"] or 0) / max(flat["time_this_iter_s"], 1e-9)
    flat.update({timer: info[timer] for timer in _TIMERS if timer in info})
    return {key: _number(value) for key, value in flat.items()}


def _deviation(values: Sequence[float]) -> Optional[float]:
    if not values:
        return None
    mean = sum(values) / len(values)
    return math.sqrt(sum((value - mean) ** 2 for value in values) / len(values))


def _number(value: Any) -> Any:
    """A plain Python number (RLlib mixes in NumPy's), or None for what JSON cannot hold."""
    if value is None or isinstance(value, (int, str)):
        return value
    number = float(value)
    return number if math.isfinite(number) else None


class History:
    """The rows of a job, in memory and in ``metrics.jsonl`` of each directory given."""

    def __init__(self, directories: Sequence[Path]) -> None:
        self._files = [directory / "metrics.jsonl" for directory in directories]
        self.rows: List[Row] = []

    def resume(self, source: Path, iteration: int) -> None:
        """Takes over the rows up to ``iteration`` from ``source/metrics.jsonl``, dropping what came later."""
        self.rows = [known for known in read(source) if known["training_iteration"] <= iteration]
        text = "".join(json.dumps(known) + "\n" for known in self.rows)
        for file in self._files:
            beside = file.with_name(f".tmp-{file.name}")
            beside.write_text(text)
            os.replace(beside, file)

    def add(self, latest: Row) -> None:
        """Appends one row, and has it in the files when it returns."""
        self.rows.append(latest)
        for file in self._files:
            with file.open("a") as stream:
                stream.write(json.dumps(latest) + "\n")

    def reward_of(self, iteration: int) -> float:
        """The mean reward seen at ``iteration``; minus infinity where no episode had ended."""
        for known in reversed(self.rows):
            if known["training_iteration"] == iteration and known["episode_reward_mean"] is not None:
                return float(known["episode_reward_mean"])
        return -math.inf


def read(directory: Path) -> List[Row]:
    """The rows of ``directory/metrics.jsonl``; a last line that a crash cut short is left out."""
    file = directory / "metrics.jsonl"
    if not file.exists():
        return []
    whole = [line for line in file.read_text().splitlines(keepends=True) if line.endswith("\n")]
    return [json.loads(line) for line in whole]
