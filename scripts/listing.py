"""`scripts/jobs`: the jobs of the stores, in a table."""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

from rl_app.errors import JobError, UserError
from scripts import aws, cloud, environments, stores
from scripts.stores import Job

EXAMPLES = """
examples:
  scripts/jobs                          those in runs/ and in the MinIO that docker-compose.yml starts
  scripts/jobs --store s3://bucket/prefix
  scripts/jobs --store compose --json   for programs: a list of objects
  scripts/jobs --cloud --last 5         the last that scripts/launch launched on SageMaker

A job that should be running and has given no sign of life for a minute has died: its state says for how long.
Exit status: 0 done, 1 failed, 2 refused.
"""

COLUMNS = ("name", "state", "experiment", "reward", "time", "started", "store")
RIGHT = ("reward", "time")
WRAPPED = ("state", "experiment", "store")  # in a narrow terminal
COLOURS = {"Completed": "green", "InProgress": "cyan", "Failed": "red", "Stopped": "yellow"}
REWARD = "episode_reward_mean"


def main(arguments: Sequence[str], open_session: Callable[[], Any] = aws.session) -> int:
    """Prints the jobs; returns the exit status."""
    options = parse(arguments)
    try:
        if options.cloud:
            where, jobs = "SageMaker", cloud.newest(open_session(), options.last)
        else:
            where, jobs = of_stores(options.store)
        with ThreadPoolExecutor(8) as pool:
            rows = list(pool.map(describe, jobs))
    except (UserError, JobError, environments.SetUpError) as error:
        print(error, file=sys.stderr)
        return error.errno
    except KeyboardInterrupt:
        return 130
    if options.json:
        print(json.dumps(rows, indent=2))
    elif rows:
        draw([cells(row) for row in rows])
    else:
        print(f"no jobs in {where}", file=sys.stderr)
    return 0


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="scripts/jobs",
        description="List the jobs, the newest first.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    stores.add_place(parser)
    parser.add_argument("--last", metavar="N", type=int, default=20, help="with --cloud: how many; default: 20")
    parser.add_argument("--json", action="store_true", help="a list of objects in place of the table")
    options = parser.parse_args(list(arguments))
    if options.last < 1:
        parser.error(f"--last {options.last}: at least 1")
    return options


def of_stores(url: Optional[str]) -> Tuple[str, List[Job]]:
    """The stores that were asked, and their jobs, the newest first. Raises UserError, JobError."""
    places = stores.open_places(url)
    for reason in places.left_out:
        print(reason, file=sys.stderr)
    jobs = [job for place in places.open for job in stores.jobs(place)]
    return " or ".join(place.name for place in places.open), sorted(jobs, key=stores.began, reverse=True)


def describe(job: Job) -> Dict[str, Any]:
    """A job in plain values: times in ISO 8601 (UTC), ``time`` and ``silent`` in seconds; None where unknown."""
    began = stores.time_of(job.record, "TrainingStartTime")
    made = began or stores.time_of(job.record, "CreationTime")
    given = job.record.get("HyperParameters") or {}
    return {
        "name": job.name,
        "state": job.state or None,
        "silent": None if job.silent_s is None else round(job.silent_s),
        "experiment": given.get("experiment") or given.get("sagemaker_program"),
        "reward": reward(job),
        "time": seconds(job, began),
        "started": made.astimezone(timezone.utc).isoformat(timespec="seconds") if made else None,
        "store": job.place.name,
        "reason": job.record.get("FailureReason"),
    }


def reward(job: Job) -> Optional[float]:
    """The last mean reward: of the record where the job has ended, else of its live metrics."""
    for metric in job.record.get("FinalMetricDataList") or []:
        if metric.get("MetricName") == REWARD:
            return float(metric["Value"])
    if job.state != "InProgress":
        return None
    try:
        lines = job.store.read(f"{job.name}/output/intermediate/metrics.jsonl").decode().splitlines(keepends=True)
        rows = [json.loads(line) for line in lines[-50:] if line.endswith("\n")]
        return next((float(row[REWARD]) for row in reversed(rows) if row.get(REWARD) is not None), None)
    except (FileNotFoundError, JobError, ValueError, AttributeError):
        # not there yet, its bucket cannot be read, or a user's program writes another thing
        return None


def seconds(job: Job, began: Optional[datetime]) -> Optional[int]:
    """How long the job trained, or has been training."""
    taken: Optional[int] = job.record.get("TrainingTimeInSeconds")
    if job.state != "InProgress" or began is None:
        return taken
    until = stores.time_of(job.record, "LastModifiedTime") if job.silent_s else datetime.now(timezone.utc)
    return (taken or 0) + round(((until or began) - began).total_seconds())


def cells(row: Dict[str, Any]) -> Dict[str, str]:
    """A job as the table shows it."""
    began = datetime.fromisoformat(row["started"]).astimezone() if row["started"] else None
    return {
        "name": row["name"],
        "state": (row["state"] or "?") + (f", silent for {duration(row['silent'])}" if row["silent"] else ""),
        "experiment": str(row["experiment"] or ""),
        "reward": "" if row["reward"] is None else f"{row['reward']:.2f}",
        "time": "" if row["time"] is None else duration(row["time"]),
        "started": f"{began:%Y-%m-%d %H:%M}" if began else "",
        "store": row["store"],
    }


def duration(seconds: float) -> str:
    """`12 s`, `3:05 min`, `2:01 h`, `3 d`."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02} min"
    if whole < 48 * 3600:
        return f"{whole // 3600}:{whole % 3600 // 60:02} h"
    return f"{whole // 86400} d"


def draw(rows: List[Dict[str, str]]) -> None:
    """Prints the table: by rich on a terminal where it is installed, else in plain aligned columns."""
    # a directory's jobs are listed with nothing installed
    if sys.stdout.isatty() and importlib.util.find_spec("rich"):
        draw_rich(rows)
        return
    widths = {key: max(len(key), *(len(row[key]) for row in rows)) for key in COLUMNS}
    for row in [dict(zip(COLUMNS, COLUMNS)), *rows]:
        line = (row[key].rjust(widths[key]) if key in RIGHT else row[key].ljust(widths[key]) for key in COLUMNS)
        print("  ".join(line).rstrip())


def draw_rich(rows: List[Dict[str, str]]) -> None:
    """Prints the table for a terminal."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for key in COLUMNS:
        justify: Any = "right" if key in RIGHT else "left"
        wraps = key in WRAPPED
        table.add_column(key, justify=justify, overflow="fold", no_wrap=not wraps, min_width=10 if wraps else None)
    for row in rows:
        colour = "red" if "silent" in row["state"] else COLOURS.get(row["state"], "")
        table.add_row(*(Text(row[key], colour if key == "state" else "") for key in COLUMNS))
    Console().print(table)
