"""`scripts/convert`: a table of transitions as episodes for RLlib, in the environment that trains in a process."""

from __future__ import annotations

import argparse
import os
from typing import Sequence

from rl_app.errors import UserError
from rl_app.experiences import flags
from scripts.lib import cli, process

EXAMPLES = f"""
examples:
  scripts/convert steps.csv episodes --observation 'obs_*' --action action --reward reward --done done --episode flight
  scripts/convert hopper.npz episodes                   arrays that are named as D4RL names them
  scripts/train --channel data=episodes run=MARWIL config={{}} config.input=data     and learn from them
{flags.EXPLAINED}"""


@cli.command
def main(arguments: Sequence[str]) -> int:
    """Become the converter; return the exit status where it cannot."""
    options = parse(arguments)
    if not os.path.isfile(options.table):
        raise UserError(f"{options.table}: there is no such file")
    places = [os.path.abspath(path) for path in (options.table, options.folder)]
    return process.become(["convert", *places, *flags.words(options)])


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = cli.parser("convert", "Make a table of transitions what RLlib's offline algorithms read.", EXAMPLES)
    flags.declare(parser)
    return parser.parse_args(list(arguments))
