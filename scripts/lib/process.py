"""What runs as a process of this machine, where :mod:`scripts.lib.engine` would run it in Docker."""

from __future__ import annotations

import os
from typing import NoReturn, Sequence

from rl_app.storage.base import WORK
from scripts.lib import environments


def become(words: Sequence[str]) -> NoReturn:
    """Become a command of the container, in the environment that has all it needs. Raises SetUpError."""
    python = str(environments.ensure([environments.IMAGE]))
    os.chdir(environments.ROOT)
    os.environ.setdefault("RL_WORK", str(environments.ROOT / "runs" / WORK))  # of jobs whose store is far
    os.execv(python, [python, "-m", "rl_app", *words])
