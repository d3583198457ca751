"""What all command lines have: the form of their help, and errors that end them in one line and a status."""

from __future__ import annotations

import argparse
import functools
import os
import re
import signal
import sys
from contextlib import contextmanager
from typing import Any, Callable, Dict, Iterator, Sequence, TypeVar, cast

from rl_app.errors import JobError, UserError
from scripts.lib.set_up_steps import SetUpError

Main = TypeVar("Main", bound=Callable[..., int])
INTERRUPTED = 130


def parser(command: str, description: str, examples: str, **more: Any) -> argparse.ArgumentParser:
    """Make the parser of `scripts/COMMAND`, whose help ends with the examples as they are written."""
    return argparse.ArgumentParser(
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
        try:
            status = main(*arguments, **named)
            sys.stdout.flush()
            return status
        except (UserError, JobError, SetUpError) as error:
            note(str(error))
            return error.errno
        except KeyboardInterrupt:
            return INTERRUPTED
        except BrokenPipeError:  # who reads, such as `head`, has had enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 128 + signal.SIGPIPE

    return cast(Main, guarded)


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
