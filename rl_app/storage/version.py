"""One version of a local file, read while others may write to it."""

from __future__ import annotations

import hashlib
import os
import time
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Iterator

from rl_app.storage.base import ChangedError

STILL_WRITTEN_S = 2.0
"""A write sets the time of its file as it begins, and may go on for a while."""
_PART = 1 << 20


class Version:
    """What an open file held when it was opened, as a stream; what is appended to it later is left out.

    Attributes:
        size: of the file, in bytes.
    """

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self._path = path
        self._file = file
        self._stat = os.fstat(file.fileno())
        self._is_new = time.time() - self._stat.st_mtime < STILL_WRITTEN_S
        self._digest = hashlib.blake2b()
        self._read = 0
        self.size = self._stat.st_size

    def read(self, size: int = -1) -> bytes:
        """Read on; the last part is given only where all of it is one version.

        Raises:
            ChangedError: others have written over what was read.
        """
        left = self.size - self._read
        part = self._file.read(left if size < 0 else min(size, left))
        self._read += len(part)
        self._digest.update(part)
        if self._read == self.size or not part:
            self._check()
        return part

    def _check(self) -> None:
        now = os.fstat(self._file.fileno())
        is_same = (now.st_size, now.st_mtime_ns) == (self.size, self._stat.st_mtime_ns) and not self._is_new
        if self._read != self.size or not (is_same or self._reads_again()):
            raise ChangedError(f"{self._path}: changed while it was read")

    def _reads_again(self) -> bool:
        """Tell whether a second reading gives the same."""
        here = self._file.tell()
        self._file.seek(0)
        digest, left = hashlib.blake2b(), self._read
        while left:
            part = self._file.read(min(_PART, left))
            if not part:
                return False
            digest.update(part)
            left -= len(part)
        self._file.seek(here)
        return digest.digest() == self._digest.digest()


@contextmanager
def open_version(path: Path) -> Iterator[Version]:
    """Open a file once, for all that is read of it; raises OSError where it cannot be read."""
    with path.open("rb") as file:
        yield Version(path, file)
