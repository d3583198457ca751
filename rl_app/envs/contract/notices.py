"""What is worth saying once to whoever runs a job, from any of its processes.

Ray's workers have no terminal: each writes to a file that :func:`opened` names to all that the job starts, and the
job's own process reads there what is new.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Callable, Iterator, Set

VARIABLE = "RL_APP_NOTICES"

_SAID: Set[str] = set()


def say_once(about: str, line: str) -> None:
    """Say the line, unless something about the same was said before."""
    if about in _SAID:
        return
    _SAID.add(about)
    file = os.environ.get(VARIABLE)
    if not file:
        print(line, file=sys.stderr, flush=True)
        return
    with suppress(OSError), open(file, "a", encoding="utf-8") as notices:  # a disk that is full stops no training
        notices.write(json.dumps([about, line]) + "\n")


class Notices:
    """Reads what processes have said: of each thing the first, whoever said it."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._known: Set[str] = set()

    def tell(self, say: Callable[[str], None]) -> None:
        """Pas on what is new."""
        for written in self._file.read_text(encoding="utf-8").splitlines():
            about, line = json.loads(written)
            if about not in self._known:
                self._known.add(about)
                say(line)


@contextmanager
def opened() -> Iterator[Notices]:
    """Collect what this process, and those that it starts, say while the block runs."""
    descriptor, name = tempfile.mkstemp(prefix="notices-")
    os.close(descriptor)
    os.environ[VARIABLE] = name
    try:
        yield Notices(Path(name))
    finally:
        del os.environ[VARIABLE]
        _SAID.clear()
        os.unlink(name)
