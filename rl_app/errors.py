"""The two kinds of failure, told apart by the exit status that they carry.

sagemaker-training makes an exception's ``errno`` the exit status of the container.
"""

from __future__ import annotations


class UserError(Exception):
    """What the user can fix. Its text is one line that names the key, the value and what is allowed."""

    errno = 2


class JobError(Exception):
    """The job broke in a way that has a name; the text is the reason a person sees."""

    errno = 1


def reason_of(error: BaseException) -> str:
    """The one line that a person sees: the text of a UserError, else the type and the last line of the text."""
    if isinstance(error, UserError):
        # Ray wraps what a worker raised; the last line of its text is the error itself
        return str(error).strip().splitlines()[-1].replace(f"{UserError.__module__}.UserError: ", "")
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[-1] if lines else 'no message'}"
