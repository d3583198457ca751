"""`scripts/fetch`: a job's model, output and videos, unpacked on this machine."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path
from typing import Any, Callable, NoReturn, Sequence

from scripts.lib import aws, cli, fetching, locating, stores
from scripts.lib.environments import ROOT

EXAMPLES = """
examples:
  scripts/fetch first                           into runs/first, from whichever store has it
  scripts/fetch first --store compose           from the MinIO that docker-compose.yml starts
  scripts/fetch first --store s3://bucket/prefix --into elsewhere
  scripts/fetch cartpole-2026-01-31-12-00-00 --cloud     a job of SageMaker's, from wherever it says its files are

What is there afterwards, as in the container's /opt/ml:
  runs/JOB/model/                 the exported policy, unpacked
  runs/JOB/output/data/           report.html, videos/, metrics.jsonl, TensorBoard's events, unpacked
  runs/JOB/output/intermediate/   the same of a job that still runs, as far as it has come
  runs/JOB/fetched.json           of a job that is kept elsewhere: from where and when, and its job.json
A second fetch puts the newer in the place of the older. Nothing changes before all has arrived.
Exit status: 0 done, 1 failed, 2 refused, 130 or 143 stopped by a signal.
"""


@cli.command
def main(arguments: Sequence[str], open_session: Callable[[], Any] = aws.session) -> int:
    """Fetch one job; return the exit status."""
    options = parse(arguments)
    signal.signal(signal.SIGTERM, stop)
    with cli.translate_disk_errors(options.into, "; nothing was changed"):
        into = Path(options.into).absolute()
        job = locating.find(options.job, options.store, open_session() if options.cloud else None)
        with fetching.exclusive(into):
            for path in fetching.fetch(job, into):
                print(path)
    return 0


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = cli.parser(
        "fetch", "Bring a job's model, output and videos here, unpacked, whole or not at all.", EXAMPLES
    )
    parser.add_argument("job", metavar="JOB", help="the job's name; `scripts/jobs` lists them")
    parser.add_argument("--into", metavar="DIR", default=str(ROOT / "runs"), help="default: runs")
    stores.declare(parser)
    return parser.parse_args(list(arguments))


def stop(number: int, _: Any) -> NoReturn:
    """End the script as an error would: what it has made is removed."""
    sys.exit(128 + number)
