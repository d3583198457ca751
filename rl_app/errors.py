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
