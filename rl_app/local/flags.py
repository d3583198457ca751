"""The flags with which a job is asked for: declared once, for every command line that takes one."""

from __future__ import annotations

import argparse
import difflib
import re
from typing import Iterable, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from rl_app.errors import UserError
from rl_app.job import hyperparameters


class Flag(NamedTuple):
    """A flag of a job.

    ``commands`` are those that take it, in words; ``metavar`` is None for a switch; ``sets`` is the hyperparameter
    that it is short for, if any.
    """

    name: str
    metavar: Optional[str]
    commands: str
    help: str
    sets: str = ""
    many: bool = False

    @property
    def key(self) -> str:
        """Its name in a namespace."""
        return self.name[2:].replace("-", "_")


WORDS = {
    "train": ("EXPERIMENT | KEY=VALUE", "what to train, and the hyperparameters to change"),
    "evaluate": ("MODEL | KEY=VALUE", "jobs, s3:// URLs, model.tar.gz files or directories, and settings to change"),
}
FLAGS = (
    Flag("--job", "NAME", "train evaluate", "the job's name; default: what it is about and the time (UTC)"),
    Flag(
        "--resume",
        "NAME",
        "train",
        "go on from this job's last checkpoint; of a completed one to a higher stop.…",
    ),
    Flag("--from", "MODEL", "train", "begin with the weights of a job, an s3:// URL, a model.tar.gz or a directory"),
    Flag("--interrupt-after", "S", "train", "rehearse a spot interruption: after S seconds it is stopped, and goes on"),
    Flag("--store", "URL", "train evaluate", "s3://BUCKET[/PREFIX], or a directory where nothing runs in Docker"),
    Flag(
        "--source",
        "DIR",
        "train evaluate",
        "envs.py, experiments.py, models.py, callbacks.py of your own, and what they import",
    ),
    Flag("--channel", "NAME=DIR|s3://…", "train evaluate", "data for the job, in input/data/NAME", many=True),
    Flag("--program", "FILE", "train", "a program of your own, in place of the job built in"),
    Flag("--dependency", "DIR", "train", "a package for --program", many=True),
    Flag("--experiment", "NAME", "train", "the same as EXPERIMENT"),
    Flag("--model", "MODEL", "evaluate", "the same as MODEL"),
    Flag("--seed", "N", "train evaluate", "the same as seed=N", sets="seed"),
    Flag("--max-run", "S", "train evaluate", "the same as max_run=S: the longest that it runs", sets="max_run"),
    Flag("--episodes", "N", "evaluate", "the same as evaluate_episodes=N", sets="evaluate_episodes"),
    Flag("--restore", None, "evaluate", "the same as restore=true", sets="restore"),
)


APART = (("--job", "--resume"), ("--source", "--program"), ("--from", "--resume"), ("--from", "--program"))
"""Flags that exclude each other."""


def declare(
    parser: argparse.ArgumentParser,
    commands: Sequence[str],
    hidden: Sequence[str] = (),
    instead: Optional[Mapping[str, Mapping[str, str]]] = None,
    words: Mapping[str, Tuple[str, str]] = WORDS,
) -> None:
    """Add the words and flags of a job; those of other commands are known, to be refused by name, but not shown.

    ``instead`` has what the help says otherwise of a flag, by its name, and ``words`` of what has none.
    """
    shown = [words[command] for command in commands]
    metavar = " | ".join(dict.fromkeys(part for names, _ in shown for part in names.split(" | ")[:1])) + " | KEY=VALUE"
    parser.add_argument("words", nargs="*", metavar=metavar, help="; or: ".join(text for _, text in shown))
    for flag in (each._replace(**(instead or {}).get(each.name, {})) for each in FLAGS):  # type: ignore[arg-type]
        takers = [command for command in flag.commands.split() if command in commands]
        among = "" if len(takers) == len(commands) else f"{takers[0]}: " if takers else ""
        text = f"{among}{flag.help}" if takers and flag.name not in hidden else argparse.SUPPRESS
        if flag.metavar is None:
            parser.add_argument(flag.name, action="store_true", help=text)
        elif flag.many:
            parser.add_argument(flag.name, metavar=flag.metavar, action="append", default=[], help=text)
        else:
            parser.add_argument(flag.name, metavar=flag.metavar, help=text)


def read(parser: argparse.ArgumentParser, argv: Sequence[str]) -> argparse.Namespace:
    """Read a command line.

    Raises:
        UserError: a flag that there is not, with the form that is meant; a word that is empty.
    """
    refuse_empty(argv)
    options, unknown = parser.parse_known_intermixed_args(list(argv))
    for word in unknown:
        raise UserError(_no_such_flag(word, argv, _names(parser)))
    return options


def refuse_empty(argv: Sequence[str]) -> None:
    """Raise UserError for an empty word, as a shell makes it of a variable that is not set: another job would be meant.

    A setting may be empty.
    """
    for before, word in zip(("", *argv), argv):
        if not word or re.fullmatch("--[a-z-]+=", word):
            flag = word[:-1] or before
            raise UserError(f"{f'{flag} ' if flag.startswith('--') else ''}'': a word that is empty")


def _names(parser: argparse.ArgumentParser) -> Iterator[str]:
    """Yield the flags that the help shows."""
    for action in parser._actions:
        if action.help != argparse.SUPPRESS:
            yield from (name for name in action.option_strings if name.startswith("--"))


def _no_such_flag(word: str, argv: Sequence[str], known: Iterable[str]) -> str:
    name, equals, value = word.partition("=")
    key = name.lstrip("-").replace("-", "_")
    close: List[str] = difflib.get_close_matches(name[2:], [flag[2:] for flag in known], n=1)
    if close and hyperparameters.qualify(key) == key:
        return f"{name}: no such flag; did you mean --{close[0]}?"
    after = argv[argv.index(word) + 1 : argv.index(word) + 2] if word in argv else []
    given = value if equals else "".join(text for text in after if not text.startswith("-")) or "VALUE"
    return f"{name}: no such flag; hyperparameters have none: {key}={given}"


def refuse_others(options: argparse.Namespace, command: str) -> None:
    """Raise UserError for a flag that goes with another command, and for two that exclude each other."""
    for flag in FLAGS:
        value = getattr(options, flag.key)
        if value and command not in flag.commands.split():
            raise UserError(f"{_typed(flag, value)}: goes with {flag.commands}, not with {command}")
    for one, other in APART:
        values = [getattr(options, name[2:]) for name in (one, other)]
        if all(values):
            raise UserError(f"{one} {values[0]}: not together with {other} {values[1]}")


def shorthands(options: argparse.Namespace) -> List[str]:
    """Return the words KEY=VALUE that the flags are short for."""
    given = ((flag, getattr(options, flag.key)) for flag in FLAGS if flag.sets)
    return [f"{flag.sets}={'true' if value is True else value}" for flag, value in given if value]


def _typed(flag: Flag, value: object) -> str:
    """Return the flag as it was typed, with its value, if it has one."""
    if flag.metavar is None:
        return flag.name
    return f"{flag.name} {value[0] if isinstance(value, list) else value}"
