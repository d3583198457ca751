"""`scripts/report`: opens a job's report.html in the browser, from wherever the job's files are."""

from __future__ import annotations

import argparse
import json
import webbrowser
from pathlib import Path
from typing import Any, Callable, Optional, Sequence

from rl_app.errors import UserError
from rl_app.reports.link import newest
from rl_app.storage import layout
from rl_app.storage.directory import DirectoryStore
from scripts.lib import aws, cli, fetching, locating, stores
from scripts.lib.environments import ROOT
from scripts.lib.jobs import FETCHED, Job
from scripts.lib.wording import short_path

EXAMPLES = """
examples:
  scripts/report first                    opens it; a job that runs too, whose page then keeps itself up to date
  scripts/report first --print            says where it is, and opens nothing
  scripts/report first --store compose    of the MinIO that docker-compose.yml starts: is fetched into runs/ first
  scripts/report cartpole-2026-01-31-12-00-00 --cloud     the same of a job of SageMaker's

Exit status: 0 done, 1 failed, 2 refused, 130 or 143 stopped by a signal.
"""


@cli.command
def main(arguments: Sequence[str], open_session: Callable[[], Any] = aws.session) -> int:
    """Open one report; return the exit status."""
    options = parse(arguments)
    with cli.translate_disk_errors(options.into):
        job = locating.find(options.job, options.store, open_session() if options.cloud else None)
        report = here(job) or fetched(job, Path(options.into).absolute())
    print(short_path(report), flush=True)
    if not options.print and not webbrowser.open(report.as_uri()):
        cli.note("no browser was found here: open that file in one")
    return 0


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = cli.parser(
        "report", "Open a job's report in the browser, fetched first where it is kept elsewhere.", EXAMPLES
    )
    parser.add_argument("job", metavar="JOB", help="the job's name; `scripts/jobs` lists them")
    parser.add_argument("--print", action="store_true", help="say where it is, and open nothing")
    parser.add_argument("--into", metavar="DIR", default=str(ROOT / "runs"), help="where to fetch it; default: runs")
    stores.declare(parser)
    return parser.parse_args(list(arguments))


def here(job: Job) -> Optional[Path]:
    """Find the report of a job whose files are on this machine, unpacked; None where it has to be fetched."""
    return newest(job.store.root / job.name) if isinstance(job.store, DirectoryStore) else None


def fetched(job: Job, into: Path) -> Path:
    """Bring the report of a job that is kept elsewhere or packed here, unless the copy that is here is as new.

    Raises:
        UserError: it has none.
    """
    home = into / job.name
    copy = newest(home) if is_current(job, home) else None
    if copy:
        return copy
    with fetching.exclusive(into):
        fetching.fetch(job, into)
    report = newest(home)
    if report is None:
        raise UserError(f"{job.name}: it left no {layout.REPORT}")
    return report


def is_current(job: Job, home: Path) -> bool:
    """Tell whether the copy that was fetched is of the job as it is now: its record tells when it was last written."""
    try:
        known = json.loads((home / FETCHED).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    written = job.record.get("LastModifiedTime")
    return written is not None and known.get("LastModifiedTime") == written
