"""The two kinds of failure, told apart by the exit status that they carry.

sagemaker-training makes an exception's ``errno`` the exit status of the container.
"""

from __future__ import annotations

import os
import re
import sys
import sysconfig
import traceback
from pathlib import Path
from typing import Optional, Sequence


class UserError(Exception):
    """What the user can fix. Its text is one line that names the key, the value and what is allowed."""

    errno = 2


class JobError(Exception):
    """The job broke in a way that has a name; the text is the reason a person sees."""

    errno = 1


def reason_of(error: BaseException) -> str:
    """Return the one line that a person sees: the text of a UserError, else the type and the last line of the text."""
    if isinstance(error, (UserError, JobError)):
        # Ray wraps what a worker raised; the last line of its text is the error itself
        line = str(error).strip().splitlines()[-1]
        return line.replace(f"{__name__}.UserError: ", "").replace(f"{__name__}.JobError: ", "")
    text = str(error).strip()
    return (
        _tensorflows(text, type(error).__name__)
        or f"{type(error).__name__}: {(text.splitlines() or ['no message'])[-1]}"
    )


# What TensorFlow says of a graph: kind, message, the node, then pages of where the node was made
_OF_A_GRAPH = re.compile(r"Graph execution error|\[\[\{\{node|Operation\.from_node_def")
_KIND = re.compile(r"\berrors_impl\.(\w+Error): ?(.*)")
_NODE = re.compile(r"Node: '")
_USELESS = re.compile(
    r"Graph execution error|Detected at node|\[\[|Traceback|File \"|Original stack trace|ray::|\(\d+\) "
)


def _tensorflows(text: str, kind: str) -> Optional[str]:
    """Return TensorFlow's first line that says what happened; None where the error is not of TensorFlow's graph."""
    if not _OF_A_GRAPH.search(text):
        return None
    lines = [line.strip() for line in text.splitlines()]
    kind = next((match.group(1) for match in map(_KIND.search, lines) if match), kind)
    after_node = next((i + 1 for i, line in enumerate(lines) if _NODE.match(line)), None)
    saying = lines[after_node:] if after_node is not None else [_KIND.sub(r"\2", line) for line in lines]
    useful = next((line for line in saying if line and not _USELESS.match(line)), "no message")
    return f"{kind}: {useful.split(' [[{{node')[0]}"


def beside(error: BaseException) -> str:
    """Return what helps where a relative path of the user's was looked for in the folder that the job runs in."""
    name = str(getattr(error, "filename", None) or "")
    if not isinstance(error, FileNotFoundError) or not name or os.path.isabs(name):
        return ""
    if not any(os.path.exists(os.path.join(folder, name)) for folder in sys.path if folder):
        return ""
    return f"; it lies beside the code, and a job runs elsewhere: Path(__file__).with_name({name!r}) finds it"


def blame(error: BaseException) -> str:
    """Return ``file:line`` of what raised, as :func:`place_of` has it; of a SyntaxError that of the text itself."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{shown(error.filename)}:{error.lineno}"
    return place_of(traceback.extract_tb(error.__traceback__))


def has_own_frames(error: BaseException) -> bool:
    """Say whether any code of the user's own has run on the way to where it was raised."""
    return any(not _a_librarys(frame.filename) for frame in traceback.extract_tb(error.__traceback__))


def place_of(frames: Sequence[traceback.FrameSummary]) -> str:
    """Return ``file:line`` of the deepest frame of the user's own code, else of the deepest of all."""
    own = [frame for frame in frames if not _a_librarys(frame.filename)]
    frame = (own or frames)[-1]
    return f"{shown(frame.filename)}:{frame.lineno}"


def shown(file: str) -> str:
    """Return the file as it is imported: a user's code is unpacked to a place that the user does not know."""
    folders = [folder for folder in sys.path if folder and file.startswith(f"{folder}{os.sep}")]
    return os.path.relpath(file, max(folders, key=len)) if folders else file


def _a_librarys(file: str) -> bool:
    folders = (sysconfig.get_path("stdlib"), str(Path(__file__).parent))
    return file.startswith((*(f"{folder}{os.sep}" for folder in folders), "<")) or "site-packages" in file
