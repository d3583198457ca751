"""Words for what goes wrong in an environment: its name, what it did, the file and the line."""

from __future__ import annotations

import inspect
from typing import Any

from rl_app.errors import JobError, UserError, blame, shown


def defined(what: Any) -> str:
    """Give `` (file:line)`` of a function or a class; nothing where Python does not know."""
    try:
        return f" ({shown(str(inspect.getsourcefile(what)))}:{inspect.getsourcelines(what)[1]})"
    except (OSError, TypeError):
        return ""


def gave(name: str, owner: Any, where: str, what: str) -> UserError:
    """Make the error that says what the method ``where`` of an environment gave, and where it is defined."""
    return UserError(f"env = {name}: {where} gave {what}{defined(getattr(owner, where, None))}")


def blamed(error: Exception, name: str, where: str) -> Exception:
    """Give the error as one that names the environment, the file and the line."""
    if isinstance(error, (JobError, UserError)):
        return error
    said = " ".join(str(error).split())
    return UserError(f"env = {name}: {where} raised {type(error).__name__}: {said} ({blame(error)})")
