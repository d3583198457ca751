"""What every store does, and what its keys are."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Callable, List, Optional, Protocol

from rl_app.errors import JobError, UserError

WORK = ".work"
"""A folder in a directory store for the jobs that run; no key begins with it."""


@dataclass(frozen=True)
class Entry:
    """A file of a store; ``size`` in bytes, ``modified`` in UTC."""

    key: str
    size: int
    modified: datetime


class ChangedError(JobError):
    """A local file was written to while it was read; what was read is no version of it."""


class Store(Protocol):
    """Files under keys, which are relative POSIX paths. Every write is whole or not at all.

    All methods raise JobError with one line of reason where the store fails, UserError for what is no key,
    and OSError where the trouble is a local file.
    """

    url: str

    def read(self, key: str) -> bytes:
        """Read the content; raises FileNotFoundError where there is none."""

    def write(self, key: str, data: bytes) -> None:
        """Put ``data`` in the place of whatever was there."""

    def create(self, key: str, data: bytes) -> bool:
        """Write where nothing is yet; False where something is. Of several at once exactly one wins."""

    def upload(self, path: Path, key: str) -> None:
        """Put a copy of the local file there; raises ChangedError where no version of it could be read."""

    def download(self, key: str, path: Path, arrived: Optional[Callable[[int], None]] = None) -> None:
        """Put a copy of one version here, making directories on the way; raises FileNotFoundError where there is none.

        ``arrived`` is told the bytes of each part that has come, as a negative number where they come again.
        """

    def list(self, prefix: str) -> List[Entry]:
        """List all below the folder ``prefix`` ("" for the whole store), sorted by key."""

    def folders(self) -> List[str]:
        """List the names at the top that have files below them: each job's, sorted."""

    def delete(self, key: str) -> None:
        """Remove it, where it is there."""


def checked(key: str) -> str:
    """Give the key itself; raises UserError where it is no plain relative path that stays below its store."""
    path = PurePosixPath(key)
    plain = key not in ("", ".") and str(path) == key and not path.is_absolute() and ".." not in path.parts
    if not plain or key != key.encode(errors="replace").decode():
        raise UserError(f"key {key!r}: must be a relative UTF-8 path without '..' and '//'")
    return key


def temporary(name: str) -> bool:
    """Tell whether a file or folder of this name is one that is still being written."""
    return name.startswith(".tmp") or name.endswith(".tmp")
