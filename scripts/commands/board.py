"""`scripts/board`: TensorBoard on the jobs of a directory, in the environment that trains in a process."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Sequence

from rl_app.errors import UserError
from scripts.lib import cli, compose, process, stores

EXAMPLES = """
examples:
  scripts/board                       the jobs of runs/, on http://127.0.0.1:6006/
  scripts/board --port 6007
  scripts/board --store elsewhere     the jobs of another directory
  docker compose up board             the jobs in the MinIO that docker-compose.yml starts

Jobs that run are shown as they go on. Ctrl-C ends it.
Exit status: 2 refused, 130 or 143 stopped by a signal.
"""


@cli.command
def main(arguments: Sequence[str]) -> int:
    """Become TensorBoard; return the exit status where it cannot."""
    options = parse(arguments)
    if "://" in (options.store or "") or options.store == compose.COMPOSE:
        raise UserError(f"--store {options.store}: a directory; `docker compose up board` shows those of MinIO")
    runs = Path(options.store or stores.open_runs(os.environ).store.url).absolute()
    if options.store and not runs.is_dir():
        raise UserError(f"--store {options.store}: there is no such directory")
    return process.become(["board", "--store", str(runs), "--port", str(options.port)])


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = cli.parser("board", "TensorBoard on all jobs of runs/, also while they run.", EXAMPLES)
    parser.add_argument("--port", type=int, default=6006, metavar="N", help="on 127.0.0.1; default: 6006")
    parser.add_argument("--store", metavar="DIR", help="default: runs")
    return parser.parse_args(list(arguments))
