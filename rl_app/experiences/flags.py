"""The words and flags of a conversion: which columns of a table are what."""

from __future__ import annotations

import argparse
from typing import List, Mapping, NamedTuple

EXPLAINED = """
A table is a .csv with a header, or an .npz of arrays, of a row each step, in order; pandas makes a .csv of others.
COLUMNS are a name, names with commas between, or patterns such as 'obs_*', whose columns are taken as they stand there.
An episode ends where it is done, where --truncated says that it was cut off, and where --episode changes. The last step
of one that was cut off is left out, unless --next-observation says what was seen then.
Exit status: 0 done, 2 refused.
"""


class Flag(NamedTuple):
    """A flag that names columns, which of D4RL's arrays it means by default, and whether a table has to have it."""

    d4rl: str
    help: str
    needed: bool = False


FLAGS: Mapping[str, Flag] = {
    "observation": Flag("observations", "what is seen before the step: the numbers of a Box", True),
    "action": Flag("actions", "what is done: one column of whole numbers is a choice, all else a Box", True),
    "reward": Flag("rewards", "what the step earns", True),
    "done": Flag("terminals", "1 or true in the last step of an episode that has come to its end", True),
    "truncated": Flag("timeouts", "1 or true in the last step of an episode that was cut off"),
    "episode": Flag("", "a number or name of the episode, the same in all its rows"),
    "next-observation": Flag("next_observations", "what is seen after the step"),
    "action-prob": Flag("", "how probable the action was, for estimates of a policy's worth"),
}


def declare(parser: argparse.ArgumentParser) -> None:
    """Add the words and flags."""
    parser.add_argument("table", metavar="TABLE", help="a .csv or .npz file")
    parser.add_argument("folder", metavar="OUT_DIR", help="a new directory for the episodes")
    for name, flag in FLAGS.items():
        default = f"; default: {flag.d4rl}" if flag.d4rl else ""
        parser.add_argument(f"--{name}", metavar="COLUMNS", help=f"{flag.help}{default}")
    parser.add_argument("--continuous", action="store_true", help="one column of whole numbers is of a Box, too")


def words(options: argparse.Namespace) -> List[str]:
    """Return the flags that were given, to be read elsewhere."""
    given = ((name, getattr(options, name.replace("-", "_"))) for name in FLAGS)
    named = [f"--{name}={value}" for name, value in given if value]
    return [*named, *(["--continuous"] if options.continuous else [])]
