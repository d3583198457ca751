"""The settings of docker-compose.yml: those of the environment, and those of the file `.env` beside it."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Dict, Mapping

from scripts.lib.environments import ROOT


def settings(environ: Mapping[str, str] = os.environ, root: Path = ROOT) -> Dict[str, str]:
    """Return what docker-compose.yml is told."""
    return {**read(root / ".env", environ), **environ}


def take_store(root: Path = ROOT) -> None:
    """Have STORE be that of the file `.env` where the environment has none; a directory in it is one below its own."""
    url = read(root / ".env", os.environ).get("STORE", "")
    if url:
        os.environ.setdefault("STORE", url if "://" in url else str(root / Path(url).expanduser()))


def read(file: Path, environ: Mapping[str, str]) -> Dict[str, str]:
    """Read the settings in the file `.env` that `docker compose` reads; {} where there is none.

    It is asked before anything is installed, and where there is no Docker: neither python-dotenv, which knows no
    ``$NAME``, nor `docker compose config` is at hand. ``environ`` is what its values may name, as ``$NAME``,
    ``${NAME}`` or ``${NAME:-default}``.
    """
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return {}
    found: Dict[str, str] = {}
    for line in lines:
        setting = re.fullmatch(r"\s*(?:export\s+)?([A-Za-z_][\w.-]*)\s*=\s*(.*?)\s*", line)
        if setting:
            found[setting[1]] = _value(setting[2], {**found, **environ})
    return found


def _value(text: str, names: Mapping[str, str]) -> str:
    literal = re.match(r"'([^']*)'", text)
    if literal:
        return literal[1]
    quoted = re.match(r'"((?:[^"\\]|\\.)*)"', text)
    plain = re.sub(r"\\(.)", r"\1", quoted[1]) if quoted else re.split(r"(?:^|\s)#", text)[0].rstrip()
    return re.sub(
        r"\$(?:\{(\w+)(?::?-([^}]*))?\}|(\w+))",
        lambda found: names.get(found[1] or found[3]) or found[2] or "",
        plain,
    )
