"""The command ``convert``: a table of transitions becomes what RLlib's offline algorithms read."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any, Dict, Sequence

from rl_app.errors import UserError
from rl_app.experiences import episodes, files, flags, tables
from rl_app.experiences.episodes import Columns


def main(arguments: Sequence[str]) -> int:
    """Convert one table; return the exit status."""
    try:
        options = _parse(arguments)
        table = tables.read(Path(options.table))
        found = episodes.transitions(table, _columns(options, table))
        steps = files.write(found.batches(), Path(options.folder))
    except UserError as error:
        print(error, file=sys.stderr)
        return error.errno
    left_out = table.rows - sum(steps)
    rest = f"; left out {left_out}, of episodes that were cut off" if left_out else ""
    print(f"{options.folder}: {len(steps)} episodes of {sum(steps)} steps{rest}")
    return 0


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="convert",
        description="Make a table of transitions what RLlib's offline algorithms read.",
        epilog=flags.EXPLAINED,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    flags.declare(parser)
    return parser.parse_args(arguments)


def _columns(options: argparse.Namespace, table: tables.Table) -> Columns:
    """Return which columns are meant: those that are given, else those that D4RL has, where they are there.

    Raises:
        UserError: one that has to be there is neither.
    """
    given: Dict[str, Any] = {}
    for name, flag in flags.FLAGS.items():
        key = name.replace("-", "_")
        given[key] = getattr(options, key) or (flag.d4rl if flag.d4rl in table.columns else None)
        if flag.needed and not given[key]:
            known = ", ".join(table.columns)
            raise UserError(f"{table.file}: --{name} COLUMNS has to say which columns are {flag.help}; it has {known}")
    return Columns(**given, continuous=options.continuous)
