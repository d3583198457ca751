"""The two kinds of failure, told apart by the exit status that they carry.

sagemaker-training makes an exception's ``errno`` the exit status of the container.
"""

from __future__ import annotations

import os
import sys
import sysconfig
import traceback
from pathlib import Path
from typing import Sequence


class UserError(Exception):
    """What the user can fix. Its text is one line that names the key, the value and what is allowed."""

    errno = 2


class JobError(Exception):
    """The job broke in a way that has a name; the text is the reason a person sees."""

    errno = 1


def reason_of(error: BaseException) -> str:
    """The one line that a person sees: the text of a UserError, else the type and the last line of the text."""
    if isinstance(error, (UserError, JobError)):
        # Ray wraps what a worker raised; the last line of its text is the error itself
        return str(error).strip().splitlines()[-1].replace(f"{UserError.__module__}.UserError: ", "")
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[-1] if lines else 'no message'}"


def blame(error: BaseException) -> str:
    """``file:line`` of what raised, as :func:`place_of` has it; of a SyntaxError that of the text itself."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{shown(error.filename)}:{error.lineno}"
    return place_of(traceback.extract_tb(error.__traceback__))


def place_of(frames: Sequence[traceback.FrameSummary]) -> str:
    """``file:line`` of the deepest frame of the user's own code, else of the deepest of all."""
    own = [frame for frame in frames if not _a_librarys(frame.filename)]
    frame = (own or frames)[-1]
    return f"{shown(frame.filename)}:{frame.lineno}"


def shown(file: str) -> str:
    """The file as it is imported: a user's code is unpacked to a place that the user does not know."""
    folders = [folder for folder in sys.path if folder and file.startswith(f"{folder}{os.sep}")]
    return os.path.relpath(file, max(folders, key=len)) if folders else file


def _a_librarys(file: str) -> bool:
    folders = (sysconfig.get_path("stdlib"), str(Path(__file__).parent))
    return file.startswith((*(f"{folder}{os.sep}" for folder in folders), "<")) or "site-packages" in file
