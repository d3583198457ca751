"""Space on the disks of a job: asked for before it starts, and kept for its last words."""

from __future__ import annotations

import errno
import os
import shutil
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Iterable, Iterator, Optional

from rl_app.errors import UserError

MIB = 1024 * 1024
# Of a small job; what a large one leaves is known to nobody before.
LEAST_FREE_BYTES = 16 * MIB
NO_SPACE = os.strerror(errno.ENOSPC)
RESERVE = ".tmp-reserve"
RESERVE_BYTES = 256 * 1024


def check_space(directory: Path) -> None:
    """Refuse a disk on which a job would soon find no space.

    Raises:
        UserError: it has too little, with how much.
    """
    free = shutil.disk_usage(directory).free
    if free < LEAST_FREE_BYTES:
        raise UserError(
            f"{directory}: its disk has {free / MIB:.1f} MiB free, and a job needs {LEAST_FREE_BYTES // MIB} MiB"
        )


def reserve(directory: Path) -> None:
    """Take some space, which :func:`release` gives back to whoever has to say that the disk is full."""
    with suppress(OSError):
        (directory / RESERVE).write_bytes(bytes(RESERVE_BYTES))


def release(directory: Path) -> None:
    """Give back what :func:`reserve` took."""
    with suppress(OSError):
        (directory / RESERVE).unlink()


@contextmanager
def given_back(directory: Path) -> Iterator[None]:
    """Yield what :func:`reserve` took, while the block runs; what is left of it is taken again."""
    reserved = (directory / RESERVE).exists()
    release(directory)
    try:
        yield
    finally:
        if reserved:
            reserve(directory)


def full(error: BaseException, directories: Iterable[Path]) -> Optional[str]:
    """Return which of the directories has a full disk, in one line, where that is what the error comes from."""
    if NO_SPACE not in str(error):
        return None
    there = (directory for directory in directories if directory.is_dir())
    fullest = min(there, key=lambda directory: shutil.disk_usage(directory).free)
    return f"{NO_SPACE}: the disk of {fullest} is full"
