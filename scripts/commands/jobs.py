"""`scripts/jobs`: the jobs of the stores, in a table."""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

from rl_app.errors import JobError
from rl_app.job import sagemaker
from rl_app.storage import layout
from scripts.lib import aws, cli, jobs, removing, stores, tables, training_jobs
from scripts.lib.jobs import STATES, Job
from scripts.lib.wording import duration

EXAMPLES = """
examples:
  scripts/jobs                          those in runs/ and in the MinIO that docker-compose.yml starts
  scripts/jobs --store s3://bucket/prefix
  scripts/jobs --store compose --json   for programs: a list of objects
  scripts/jobs --state failed --experiment cartpole --last 5
  scripts/jobs --cloud --last 5         the last that scripts/launch launched on SageMaker
  scripts/jobs --rm first second        removes them with all their files; says how much that is, and asks

A job that should be running and has given no sign of life for a minute has died: its state says for how long.
Exit status: 0 done, 1 failed, 2 refused.
"""

COLUMNS = ("name", "state", "experiment", "reward", "time", "started", "store")
OF_EVALUATIONS = ("name", "state", "model", "reward", "time", "started", "store")
CLOUD_LAST = 20
RIGHT = ("reward", "time")
WRAPPED = ("state", "experiment", "model", "store")  # in a narrow terminal
COLOURS = {"Completed": "green", "InProgress": "cyan", "Failed": "red", "Stopped": "yellow"}
REWARD = "episode_reward_mean"


@cli.command
def main(arguments: Sequence[str], open_session: Callable[[], Any] = aws.session) -> int:
    """Print the jobs; return the exit status."""
    options = parse(arguments)
    if options.rm:
        return removing.remove(options.rm, options.store, options.cloud, options.yes, open_session)
    if options.cloud:
        where, found = "SageMaker", training_jobs.newest(open_session(), options.last or CLOUD_LAST, wanted(options))
    else:
        where, found = of_stores(options.store)
        found = list(filter(wanted(options), found))[: options.last]
    with ThreadPoolExecutor(8) as pool:
        rows = list(pool.map(describe, found))
    if options.json:
        print(json.dumps(rows, indent=2))
    elif rows:
        draw_all(rows)
    else:
        cli.note(f"no jobs{filters(options)} in {where}")
    return 0


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = cli.parser("jobs", "List the jobs, the newest first.", EXAMPLES)
    stores.declare(parser)
    parser.add_argument("--state", metavar="STATE", type=state, help=f"only those that are {', '.join(STATES)}")
    parser.add_argument("--experiment", metavar="NAME", help="only the trainings of this experiment")
    parser.add_argument("--last", metavar="N", type=int, help=f"the newest N; default: all, {CLOUD_LAST} with --cloud")
    parser.add_argument("--json", action="store_true", help="a list of objects in place of the table")
    parser.add_argument("--rm", metavar="JOB", nargs="+", default=[], help="remove these jobs, and all that they left")
    parser.add_argument("--yes", action="store_true", help="with --rm: remove without asking")
    options = parser.parse_args(list(arguments))
    if options.last is not None and options.last < 1:
        parser.error(f"--last {options.last}: at least 1")
    if options.yes and not options.rm:
        parser.error("--yes: goes with --rm")
    if options.rm and (options.state or options.experiment or options.last or options.json):
        parser.error("--rm: removes the jobs that it names, and goes with --store, --cloud and --yes alone")
    return options


def state(text: str) -> str:
    """Read a state by its name, in whichever case."""
    found = next((name for name in STATES if name.lower() == text.lower()), None)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text}: must be one of {', '.join(STATES)}")
    return found


def wanted(options: argparse.Namespace) -> Callable[[Job], bool]:
    """Return what tells whether a job is to be listed."""

    def fits(job: Job) -> bool:
        return options.state in (None, job.state) and options.experiment in (None, experiment(job))

    return fits


def filters(options: argparse.Namespace) -> str:
    """Say what has been asked of the jobs, as a sentence goes on."""
    of = f" of {options.experiment}" if options.experiment else ""
    return f"{of} that are {options.state}" if options.state else of


def experiment(job: Job) -> Optional[str]:
    """Say what the job trains; None of an evaluation."""
    given = job.record.get("HyperParameters") or {}
    found = given.get("experiment") or given.get("sagemaker_program")
    return None if given.get("command") == "evaluate" or found is None else str(sagemaker.decode(found))


def evaluated(job: Job) -> Optional[str]:
    """Name the models that the job evaluates, by the names of the jobs that trained them; None of a training."""
    if (job.record.get("HyperParameters") or {}).get("command") != "evaluate":
        return None
    urls = [channel["DataSource"]["S3DataSource"]["S3Uri"] for channel in job.record.get("InputDataConfig") or []]
    return ", ".join(url.partition(f"/{layout.MODEL}")[0].rstrip("/").rpartition("/")[2] for url in urls)


def of_stores(url: Optional[str]) -> Tuple[str, List[Job]]:
    """Return the stores that were asked, and their jobs, the newest first. Raises UserError, JobError."""
    asked = stores.open_all(url)
    for reason in asked.left_out:
        cli.note(reason)
    found = [job for each in asked.open for job in jobs.all_of(each)]
    return asked.names, sorted(found, key=jobs.began, reverse=True)


def describe(job: Job) -> Dict[str, Any]:
    """Describe a job in plain values: times in ISO 8601 (UTC), ``time`` and ``silent`` in seconds; None is unknown."""
    began = jobs.time_of(job.record, "TrainingStartTime")
    made = began or jobs.time_of(job.record, "CreationTime")
    return {
        "name": job.name,
        "state": job.state or None,
        "silent": None if job.silent_s is None else round(job.silent_s),
        "experiment": experiment(job),
        "model": evaluated(job),
        "reward": reward(job),
        "time": seconds(job, began),
        "started": made.astimezone(timezone.utc).isoformat(timespec="seconds") if made else None,
        "store": job.kept_in.name,
        "reason": job.record.get("FailureReason"),
    }


def reward(job: Job) -> Optional[float]:
    """Return the last mean reward: of the record where the job has ended, else of its live metrics."""
    for metric in job.record.get("FinalMetricDataList") or []:
        if metric.get("MetricName") == REWARD:
            return float(metric["Value"])
    if job.state != "InProgress":
        return None
    try:
        lines = job.store.read(f"{job.name}/{layout.LIVE}/{layout.METRICS}").decode().splitlines(keepends=True)
        rows = [json.loads(line) for line in lines[-50:] if line.endswith("\n")]
        return next((float(row[REWARD]) for row in reversed(rows) if row.get(REWARD) is not None), None)
    except (FileNotFoundError, JobError, ValueError, AttributeError):
        # not there yet, its bucket cannot be read, or a user's program writes another thing
        return None


def seconds(job: Job, began: Optional[datetime]) -> Optional[int]:
    """Say how long the job trained, or has been training."""
    taken: Optional[int] = job.record.get("TrainingTimeInSeconds")
    if job.state != "InProgress" or began is None:
        return taken
    until = jobs.time_of(job.record, "LastModifiedTime") if job.silent_s else datetime.now(timezone.utc)
    return (taken or 0) + round(((until or began) - began).total_seconds())


def cells(row: Dict[str, Any]) -> Dict[str, str]:
    """Describe a job as the table shows it."""
    began = datetime.fromisoformat(row["started"]).astimezone() if row["started"] else None
    return {
        "name": row["name"],
        "state": (row["state"] or "?") + (f", silent for {duration(row['silent'])}" if row["silent"] else ""),
        "experiment": row["experiment"] or "",
        "model": row["model"] or "",
        "reward": "" if row["reward"] is None else f"{row['reward']:.2f}",
        "time": "" if row["time"] is None else duration(row["time"]),
        "started": f"{began:%Y-%m-%d %H:%M}" if began else "",
        "store": row["store"],
    }


def draw_all(rows: List[Dict[str, Any]]) -> None:
    """Print the trainings, and the evaluations in a table of their own."""
    trainings = [cells(row) for row in rows if row["model"] is None]
    evaluations = [cells(row) for row in rows if row["model"] is not None]
    if trainings:
        draw(trainings, COLUMNS)
    if evaluations:
        print("\nevaluations" if trainings else "evaluations")
        draw(evaluations, OF_EVALUATIONS)


def draw(rows: List[Dict[str, str]], columns: Sequence[str]) -> None:
    """Print a table: by rich on a terminal where it is installed, else in plain aligned columns."""
    # a directory's jobs are listed with nothing installed
    if sys.stdout.isatty() and importlib.util.find_spec("rich"):
        draw_rich(rows, columns)
        return
    right = [columns.index(key) for key in RIGHT]
    print("\n".join(tables.aligned([columns, *([row[key] for key in columns] for row in rows)], right)))


def draw_rich(rows: List[Dict[str, str]], columns: Sequence[str]) -> None:
    """Print the table for a terminal."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for key in columns:
        justify: Any = "right" if key in RIGHT else "left"
        wraps = key in WRAPPED
        table.add_column(key, justify=justify, overflow="fold", no_wrap=not wraps, min_width=10 if wraps else None)
    for row in rows:
        colour = "red" if "silent" in row["state"] else COLOURS.get(row["state"], "")
        table.add_row(*(Text(row[key], colour if key == "state" else "") for key in columns))
    Console().print(table)
