"""What runs as a process of this machine, where :mod:`scripts.lib.engine` would run it in Docker."""

from __future__ import annotations

import os
from typing import NoReturn, Sequence, Tuple

from rl_app.storage.base import WORK
from rl_app.storage.opening import directory_of
from scripts.lib import environments
from scripts.lib.wording import short_path


def typed_in() -> Tuple[str, str]:
    """Return the folder where a command is typed, and that of the scripts as it can be typed there."""
    try:
        return os.getcwd(), short_path(environments.ROOT / "scripts")
    except OSError:  # it has been removed
        return "", str(environments.ROOT / "scripts")


def become(words: Sequence[str]) -> NoReturn:
    """Become a command of the container, in the environment that has all it needs. Raises SetUpError."""
    python = str(environments.ensure([environments.IMAGE]))
    store = directory_of(os.environ.get("STORE", ""))
    if store:  # which is below the folder where it is typed
        os.environ["STORE"] = str(store)
    os.chdir(environments.ROOT)
    os.environ.setdefault("RL_WORK", str(environments.ROOT / "runs" / WORK))  # of jobs whose store is far
    os.execv(python, [python, "-m", "rl_app", *words])
