"""A store in a directory."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Callable, Iterator, List, Optional, Tuple

from rl_app import disk
from rl_app.errors import JobError, UserError
from rl_app.files import durable_write
from rl_app.storage.base import WORK, Entry, checked, temporary
from rl_app.storage.version import Version, open_version


class DirectoryStore:
    """A Store below the directory ``root``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.url = str(root)

    def read(self, key: str) -> bytes:
        with self._translate_errors(key):
            return self._path(key).read_bytes()

    def write(self, key: str, data: bytes) -> None:
        with self._translate_errors(key), durable_write(self._path(key)) as file:
            _write_for_its_user(file, data)

    def create(self, key: str, data: bytes) -> bool:
        with self._translate_errors(key):
            try:
                with durable_write(self._path(key), place=os.link) as file:
                    _write_for_its_user(file, data)
            except FileExistsError:
                return False
        return True

    def upload(self, path: Path, key: str) -> None:
        # opened first: where it cannot be read, that is no fault of the store
        with open_version(path) as version, self._translate_errors(key), durable_write(self._path(key)) as beside:
            copy(version, beside)

    def download(self, key: str, path: Path, arrived: Optional[Callable[[int], None]] = None) -> None:
        with self._translate_errors(key), durable_write(path) as file:
            shutil.copyfile(self._path(key), file)
            if arrived:
                arrived(file.stat().st_size)

    def list(self, prefix: str) -> List[Entry]:
        with self._translate_errors(prefix):
            return sorted(
                (
                    Entry(key, stat.st_size, datetime.fromtimestamp(stat.st_mtime, timezone.utc))
                    for key, stat in files_below(self.root, f"{checked(prefix)}/" if prefix else "")
                    if not key.startswith(f"{WORK}/")
                ),
                key=lambda entry: entry.key,
            )

    def folders(self) -> List[str]:
        with self._translate_errors(""):
            try:
                entries = list(os.scandir(self.root))
            except FileNotFoundError:
                return []
            names = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
            return sorted(name for name in names if name != WORK and not temporary(name))

    def delete(self, key: str) -> None:
        path = self._path(key)
        with self._translate_errors(key):
            try:
                path.unlink()
            except FileNotFoundError:
                return
            self._prune(path.parent)

    def _prune(self, folder: Path) -> None:
        """Remove folders that have become empty: S3 has none, and a reader finds the same in both."""
        while folder != self.root:
            try:
                folder.rmdir()
            except OSError:  # not empty, or gone already
                return
            folder = folder.parent

    def _path(self, key: str) -> Path:
        return self.root / checked(key)

    @contextmanager
    def _translate_errors(self, key: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise FileNotFoundError(f"store {self.url}: no {key}") from None
        except OSError as error:
            raise JobError(f"store {self.url}: {key}: {error.strerror or error}") from error


def copy(version: Version, path: Path) -> None:
    """Write to a file what is read of another."""
    with path.open("wb") as file:
        shutil.copyfileobj(version, file, 1 << 20)


def open_directory(root: Path, make: bool) -> DirectoryStore:
    """Open a directory; raises UserError where it is none, or is missing and not to be made."""
    try:
        there = next(folder for folder in (root, *root.parents) if folder.exists())
    except OSError as error:
        raise UserError(f"store {root}: {error.strerror}") from None
    if not there.is_dir():
        raise UserError(f"store {root}: {there} is not a directory")
    if not make and there != root:
        raise UserError(f"store {root}: there is no such directory")
    if make and not os.access(there, os.W_OK | os.X_OK):
        raise UserError(f"store {root}: {there} is not writable")
    if make:
        disk.check_space(there)
    return DirectoryStore(root)


def files_below(directory: Path, below: str = "") -> Iterator[Tuple[str, os.stat_result]]:
    """Yield the whole files below ``directory/below`` by their names relative to ``directory``."""
    try:
        entries = list(os.scandir(directory / below))
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in entries:
        if temporary(entry.name):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from files_below(directory, f"{below}{entry.name}/")
        elif entry.is_file(follow_symlinks=False):
            try:
                stat = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            yield f"{below}{entry.name}", stat


def _write_for_its_user(file: Path, data: bytes) -> None:
    """Write what may hold secrets, as hyperparameters do."""
    file.touch(0o600)
    file.write_bytes(data)
