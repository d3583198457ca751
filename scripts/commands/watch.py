"""`scripts/watch`: a job's state, log, reward curve, videos and report as they come, until it ends."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, Callable, Sequence

from scripts.lib import aws, cli, following, locating, stores
from scripts.lib.following import RUNS

EXAMPLES = """
examples:
  scripts/watch cartpole-2026-01-31-12-00-00      a job of this machine's stores, else of SageMaker
  scripts/watch first --store runs                a job of scripts/train, in this store
  scripts/watch first --cloud | tee first.log     a job of SageMaker; its log goes to standard output

The state, the reward curve and the names of new files go to standard error. The report and the videos of a job that
is kept elsewhere are brought into runs/JOB/output/intermediate. Ctrl-C ends the watching, never the job.
Exit status: 0 the job is completed, 1 it failed or was stopped, 2 refused, 130 by Ctrl-C.
"""


@cli.command
def main(arguments: Sequence[str], open_session: Callable[[], Any] = aws.session) -> int:
    """Follow one job to its end; return the exit status."""
    options = parse(arguments)
    job, session = locating.anywhere(options.job, options.store, options.cloud, open_session)
    into = Path(options.into).absolute()
    return following.follow_local(job, into) if job else following.follow_cloud(options.job, session, into)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = cli.parser("watch", "Follow a job to its end.", EXAMPLES)
    parser.add_argument("job", metavar="JOB", help="the job's name")
    parser.add_argument("--into", metavar="DIR", default=str(RUNS), help="where report and videos go; default: runs")
    stores.declare(parser)
    return parser.parse_args(list(arguments))
