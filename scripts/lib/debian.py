"""Packages of Debian's that an image is to hold besides: the argument `DEBIAN` of the Dockerfiles."""

from __future__ import annotations

import argparse
import hashlib
import re
from pathlib import Path
from typing import Optional, Sequence, Tuple

from rl_app.errors import UserError
from scripts.lib import dotenv
from scripts.lib.environments import ROOT

SETTING = "DEBIAN"
"""The build argument; and the setting, in the environment or in `.env`, that docker-compose.yml makes of it."""
LABEL = "sagemaker-rllib.debian"
NAME = re.compile("[a-z0-9]([a-z0-9.+-]*[a-z0-9.+])?")  # "name-" would have apt remove it

Packages = Tuple[str, ...]
"""Names, in order and each once: the same ones are the same image."""


def declare(parser: argparse.ArgumentParser) -> None:
    """Give a command the flag."""
    parser.add_argument(
        "--debian",
        metavar="PACKAGES",
        help=f'Debian packages to build in, such as "xvfb libgl1"; default: {SETTING} of the environment or of .env',
    )


def wanted(flag: Optional[str] = None, root: Path = ROOT) -> Packages:
    """Return the packages that the flag names, or the setting where it was not given; raises UserError."""
    if flag is not None:
        return packages("--debian", flag)
    return packages(SETTING, dotenv.settings(root=root).get(SETTING, ""))


def packages(key: str, given: str) -> Packages:
    """Read names with blanks between them; raises UserError, which names the key, for what is no package's name."""
    names = sorted(set(given.split()))
    wrong = next((name for name in names if not NAME.fullmatch(name)), None)
    if wrong is not None:
        raise UserError(f"{key} = {given}: {wrong} is no package of Debian's; names are of a-z, 0-9 and . + -")
    return tuple(names)


def variant(names: Sequence[str]) -> str:
    """Return what an image's name has for it: "-debian"; "" for none."""
    return "-debian" if names else ""


def mark(names: Sequence[str]) -> str:
    """Return what a tag has for these packages and no others, in 8 digits: a tag has no room for names, nor a "+"."""
    digits = hashlib.sha256(" ".join(names).encode()).hexdigest()[:8]
    return f"{variant(names)}-{digits}" if names else ""
