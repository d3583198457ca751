"""Files that are whole or not there, that one process holds at a time, and that are their directory's owner's."""

from __future__ import annotations

import os
import shutil
import uuid
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Callable, Iterator, Optional

TEMPORARY = ".tmp-"
"""What the name of a file begins with that is still being written."""


@contextmanager
def atomic_write(path: Path, place: Callable[[Path, Path], None] = os.replace) -> Iterator[Path]:
    """Yield a name beside ``path`` for the block to write a file to, then put the file in its place.

    Whoever reads ``path`` finds the old file or the whole new one. Where the block raises, nothing is left of it.
    """
    beside = path.parent / f"{TEMPORARY}{uuid.uuid4().hex}{path.suffix}"
    try:
        yield beside
        place(beside, path)
    finally:
        with suppress(FileNotFoundError):
            beside.unlink()


@contextmanager
def scratch_folder(folder: Path) -> Iterator[Path]:
    """Make an empty folder for what is written there and then moved to its place; at the end it is gone.

    A fixed name has the next one remove what a process that was killed left behind.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Write a file of text, whole or not at all."""
    with atomic_write(path) as beside:
        beside.write_text(text, encoding="utf-8")


@contextmanager
def durable_write(path: Path, place: Callable[[Path, Path], None] = os.replace) -> Iterator[Path]:
    """Do as :func:`atomic_write`, and have the file on disk, its directory's owner's, before it is in its place.

    Directories on the way are made.
    """
    make_folder(path.parent)
    with atomic_write(path, place) as beside:
        yield beside
        give_to_owner(beside)
        with beside.open("rb") as file:
            os.fsync(file.fileno())


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, each its directory's owner's."""
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        give_to_owner(folder)


def give_to_owner(path: Path, directory: Optional[Path] = None) -> None:
    """Give what root made in the directory of another to that other; by default the directory it is in."""
    owner = (directory or path.parent).stat()
    if os.geteuid() == 0 != owner.st_uid:
        with suppress(OSError):  # a file system that knows no owners
            os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


@contextmanager
def exclusive(path: Path, busy: Callable[[], None]) -> Iterator[None]:
    """Hold a file or directory against every other process that asks for it; ``busy`` is called before it waits."""
    import fcntl  # Windows has none, which is told in one line elsewhere

    held = os.open(path, os.O_RDONLY)
    try:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            busy()
            fcntl.flock(held, fcntl.LOCK_EX)
        yield
    finally:
        os.close(held)
