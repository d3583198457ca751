"""What all command lines have: the form of their help, and errors that end them in one line and a status."""

from __future__ import annotations

import argparse
import errno
import functools
import os
import re
import signal
import sys
from contextlib import contextmanager
from typing import Any, Callable, Dict, Iterator, Sequence, TypeVar, cast

from rl_app.errors import JobError, UserError
from rl_app.local.flags import refuse_empty
from scripts.lib import dotenv
from scripts.lib.set_up_steps import SetUpError

Main = TypeVar("Main", bound=Callable[..., int])
INTERRUPTED = 130
UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
"""What an output says that takes no more: a disk that is full or broken, and a terminal that is gone."""


class Parser(argparse.ArgumentParser):
    """A parser of all of a script's words, of which none may be empty."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse them; raises UserError for one that is empty."""
        refuse_empty(args or [])
        return super().parse_known_args(args, namespace)


def parser(command: str, description: str, examples: str, **more: Any) -> argparse.ArgumentParser:
    """Make the parser of `scripts/COMMAND`, whose help ends with the examples as they are written."""
    return Parser(
        prog=f"scripts/{command}",
        description=description,
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        **more,
    )


def command(main: Main) -> Main:
    """Make a command's main end, at an error, in one line on standard error and the error's exit status."""

    @functools.wraps(main)
    def guarded(*arguments: Any, **named: Any) -> int:
        open_streams()
        dotenv.take_store()
        try:
            with readable():
                return main(*arguments, **named)
        except (UserError, JobError, SetUpError) as error:
            note(str(error))
            return error.errno
        except KeyboardInterrupt:
            return INTERRUPTED
        except BrokenPipeError:  # who reads, such as `head`, has had enough
            to_nowhere()
            return 128 + signal.SIGPIPE

    return cast(Main, guarded)


def open_streams() -> None:
    """Have the streams that were closed, as by a shell's >&-, lead nowhere, here and in what is started from here."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None or not is_given(number):
            os.dup2(os.open(os.devnull, os.O_RDWR), number)
            os.set_inheritable(number, True)  # which dup2 leaves as it is where both are one
            setattr(sys, name, os.fdopen(number, "r" if number == 0 else "w", encoding="utf-8"))


def is_given(number: int) -> bool:
    """Tell whether a stream is open for what it is for.

    Where it was closed, its number may be another file's by now, such as the program's own, which Python reads.
    """
    import fcntl  # Windows has none, which is told in one line elsewhere

    try:
        mode = fcntl.fcntl(number, fcntl.F_GETFL) & os.O_ACCMODE
    except OSError:
        return False
    return mode != (os.O_WRONLY if number == 0 else os.O_RDONLY)


@contextmanager
def readable() -> Iterator[None]:
    """Have what the block prints arrive where somebody reads it; raises JobError where it is a disk that is full."""
    try:
        yield
        sys.stdout.flush()
    except OSError as error:
        if error.errno not in UNWRITABLE or error.filename is not None:
            raise
        to_nowhere()
        raise JobError(f"standard output: {error.strerror}") from None


def to_nowhere() -> None:
    """Have what is still to be printed go nowhere, for Python tries once more when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def translate_disk_errors(where: str, then: str = "") -> Iterator[None]:
    """Raise UserError where this machine's disk is full, not writable, …; ``where`` is named where no file is."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{error.filename or where}: {error.strerror or error}{then}") from None


def pairs(words: Sequence[str], flag: str) -> Dict[str, str]:
    """Return {key: value} of a flag's words KEY=VALUE; raises UserError."""
    wrong = [word for word in words if not re.fullmatch("[^=]+=.*", word)]
    if wrong:
        raise UserError(f"{flag} {wrong[0]}: expected KEY=VALUE")
    return dict(word.partition("=")[::2] for word in words)


def note(line: str) -> None:
    """Say something beside the results."""
    print(line, file=sys.stderr, flush=True)
