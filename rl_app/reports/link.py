"""Where a person finds a job's report when the job has ended."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import Iterator, Optional, TextIO

from rl_app.storage import layout
from rl_app.storage.base import Store
from rl_app.storage.directory import DirectoryStore
from rl_app.storage.mirror import Mirror

FOLDERS = (layout.UNPACKED, layout.LIVE)


def unpack(output: Path, store: Store, name: str, timeout_s: float) -> None:
    """Leave the output of an evaluation in a directory store unpacked too, so that its report opens at once."""
    if not isinstance(store, DirectoryStore):
        return
    copy = Mirror(output, store, f"{name}/{layout.UNPACKED}", delete=True)
    copy.start()
    copy.stop(timeout_s)


def newest(home: Path) -> Optional[Path]:
    """Return the newest report below a job's folder, if there is one: a job may have run on since one was unpacked."""
    there = [home / folder / layout.REPORT for folder in FOLDERS if (home / folder / layout.REPORT).is_file()]
    return max(there, key=lambda file: file.stat().st_mtime) if there else None


def line(
    store: Store, name: str, stream: Optional[TextIO] = None, folder: str = "", scripts: str = "scripts"
) -> Iterator[str]:
    """Yield the line that names the report: its file, a link where ``stream`` is a terminal, or what opens it.

    Args:
        stream: where the line goes; default: standard error.
        folder: where it is read and a path is typed; default: here.
        scripts: the scripts' folder, as it is typed there.
    """
    if not isinstance(store, DirectoryStore):
        if any(entry.key.endswith(f"/{layout.REPORT}") for entry in store.list(f"{name}/output")):
            yield f"  report {shlex.quote(f'{scripts}/report')} {name}    opens it"
        return
    file = newest(store.root / name)
    if file is not None:
        yield f"  report {linked(file, stream or sys.stderr, folder)}"


def linked(file: Path, stream: TextIO, folder: str) -> str:
    """Return the file's path, as short as it can be typed; on a terminal a link that a click opens (OSC 8)."""
    short = os.path.relpath(file, folder or os.curdir)
    shown = str(file) if short.startswith(os.pardir) else short
    if not stream.isatty() or os.environ.get("TERM") == "dumb":
        return shown
    return f"\033]8;;{file.absolute().as_uri()}\033\\{shown}\033]8;;\033\\"
