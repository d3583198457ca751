"""The curves of jobs: of the reward, or of another metric, from their own files or from CloudWatch."""

from __future__ import annotations

import difflib
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, List, Optional, Sequence, Tuple

from rl_app.errors import JobError, UserError
from rl_app.job import hyperparameters, metrics
from rl_app.storage import archives, layout
from scripts.lib import aws, training_jobs
from scripts.lib.jobs import Job

AXES = {
    "steps": ("timesteps_total", "environment steps"),
    "time": ("time_total_s", "seconds of training"),
    "iteration": ("training_iteration", "iteration"),
}
REWARD, EVALUATION = "episode_reward_mean", "evaluation_reward_mean"
WHERE = (layout.LIVE, layout.UNPACKED, layout.CHECKPOINTS)


@dataclass(frozen=True)
class Curve:
    """A job's rewards: of each row that has one, where it is on the axis, and the mean, least and greatest.

    Of another metric the three are the same.
    """

    name: str
    at: List[float]
    mean: List[float]
    least: List[float]
    greatest: List[float]
    goal: Optional[float]


def of_cloud(job: Job, by: str, session: Any, metric: str = REWARD) -> Curve:
    """Read the curve of a job of SageMaker's: CloudWatch's, else its own files'. Raises UserError, JobError."""
    rows = training_jobs.curve(job, aws.client(session, "cloudwatch"), band(metric))
    return read(job, by, metric, rows) if rows else read(job, by, metric)


def read(job: Job, by: str, metric: str = REWARD, rows: Optional[Sequence[metrics.Row]] = None) -> Curve:
    """Read the job's curve as far as it has come, from its own files where no ``rows`` are given.

    Raises:
        UserError: it has no metrics, or no value of this one yet.
    """
    axis = AXES[by][0]
    try:
        # not every row has a reward: an episode may take longer than an iteration
        given = rows_of(job) if rows is None else rows
        rows = [row for row in given if row.get(axis) is not None and is_number(row.get(metric))]
        at, mean, least, greatest = ([float(row[key]) for row in rows] for key in (axis, *band(metric)))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UserError(f"{job.name}: its metrics.jsonl cannot be read: {error!r}") from None
    if not rows:
        raise UserError(f"{job.name}: {absent(metric, given)}")
    return Curve(job.name, at, mean, least, greatest, goal(job) if metric == REWARD else None)


def band(metric: str) -> Tuple[str, str, str]:
    """Name the columns of the line, and of the lower and the upper edge of the band: a reward has those."""
    name, slash, policy = metric.partition("/")
    if not name.endswith("reward_mean"):
        return metric, metric, metric
    least, greatest = (f"{name[: -len('mean')]}{edge}{slash}{policy}" for edge in ("min", "max"))
    return metric, least, greatest


def is_number(value: Any) -> bool:
    """Tell whether a value of a row can be drawn."""
    return isinstance(value, (int, float))


def absent(metric: str, rows: Sequence[metrics.Row]) -> str:
    """Say why there is nothing to draw."""
    known = sorted({key for row in rows for key, value in row.items() if is_number(value)})
    if metric == REWARD:
        hint = f"; `--metric {EVALUATION}` draws that of the evaluations" if EVALUATION in known else ""
        return f"no episode has ended yet, so there is no reward to draw{hint}"
    if any(metric in row for row in rows):
        return f"{metric} has no number to draw; what has one: {', '.join(known)}"
    near = difflib.get_close_matches(metric, known, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    return f"--metric {metric}: {hint}it has {', '.join(known)}"


def rows_of(job: Job) -> List[metrics.Row]:
    """Read the rows of metrics.jsonl: the live ones, else those of the final output; raises UserError."""
    with tempfile.TemporaryDirectory() as folder:
        for where in WHERE:
            try:
                job.store.download(f"{job.name}/{where}/{layout.METRICS}", Path(folder) / layout.METRICS)
                return metrics.read(Path(folder))
            except FileNotFoundError:
                continue
        try:
            job.store.download(f"{job.name}/{layout.OUTPUT}", Path(folder) / layout.OUTPUT_ARCHIVE)
        except FileNotFoundError:
            raise UserError(f"{job.name}: {job.kept_in.name} has no metrics.jsonl of it yet") from None
        archives.unpack(Path(folder) / layout.OUTPUT_ARCHIVE, Path(folder) / "data")
        return metrics.read(Path(folder) / "data")


def goal(job: Job) -> Optional[float]:
    """Return the reward at which the job stops; None where it has none, or runs what is not known here."""
    for where in WHERE:
        try:
            stop = json.loads(job.store.read(f"{job.name}/{where}/{layout.FACTS}"))["stop"]
            return float(stop["episode_reward_mean"])
        except (FileNotFoundError, JobError, ValueError, KeyError, TypeError):
            continue
    given = {key: str(value).strip('"') for key, value in (job.record.get("HyperParameters") or {}).items()}
    try:
        stop = hyperparameters.parse(given, machine=None).trial["stop"] if given else {}
    except UserError:
        return None
    reward: Optional[float] = stop.get("episode_reward_mean")
    return reward
