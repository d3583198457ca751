"""`scripts/upload`: brings to the store what a job on this machine could not, once the store is back."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import List, Sequence

from rl_app.errors import UserError
from rl_app.job import sagemaker
from rl_app.storage.base import WORK
from rl_app.storage.opening import directory_of
from scripts.lib import cli, compose, engine, process
from scripts.lib.environments import ROOT

EXAMPLES = """
examples:
  scripts/upload first                                 what is kept of this job, in runs/ or in Docker's volume
  scripts/upload first --engine docker                 in Docker's volume, where several jobs have this name
  scripts/upload first --store s3://bucket/prefix      a job that ran with this --store

A job whose store was away at its end is Failed, and says `kept`: its model, checkpoints and output stay on this
machine. They are brought to the store as the job would have brought them, job.json says then how the job really
ended, and the copy here is removed. Until then `scripts/train --resume` refuses it.
Exit status: 0 all is in the store, 1 something is not, 2 refused.
"""


@cli.command
def main(arguments: Sequence[str]) -> int:
    """Bring what is kept of one job to its store; return the exit status."""
    options = parse(arguments)
    options.store, options.engine = compose.of_flags(options.store, options.engine)
    sagemaker.check_job_name(options.job)
    store = ["--store", options.store] if options.store else []
    words = ["local", "upload", options.job, *store]
    if choose(options) == "docker":
        return engine.run_service("train", words)
    return process.become(words)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = cli.parser("upload", "Bring to its store what a job could not upload.", EXAMPLES)
    parser.add_argument("job", metavar="JOB", help="the job's name")
    parser.add_argument("--store", metavar="URL", help="the store that the job was given")
    parser.add_argument(
        "--engine", choices=["docker", "process"], help="what the job ran in; default: where it is kept"
    )
    return parser.parse_args(list(arguments))


def choose(options: argparse.Namespace) -> str:
    """Return what the job ran in; raises UserError where it is kept nowhere."""
    if options.engine:
        return str(options.engine)
    places = places_of(options)
    if any((place / options.job).exists() for place in places):
        return "process"
    reason = engine.why_not()
    if reason:
        where = " or ".join(map(str, places))
        raise UserError(f"{options.job}: nothing of it is kept in {where}, and Docker cannot be asked: {reason}")
    return "docker"


def places_of(options: argparse.Namespace) -> List[Path]:
    """Return where jobs that run as processes of this machine lie."""
    folder = directory_of(options.store or os.environ.get("STORE", ""))
    return [*([folder / WORK] if folder else []), ROOT / "runs" / WORK]
