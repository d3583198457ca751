"""A job's folder for what is temporary: of this user alone, gone with the job, and found again where it was killed."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, Optional

PREFIX = "rl-"
LOCK = ".lock"
# Ray's sockets are deep below it, and the name of a socket has 107 bytes at most
LONGEST_PLACE = 30
SHORT_PLACE = "/tmp"
GLOG = "GLOG_log_dir"


class Scratch(NamedTuple):
    """The folder, and the lock that says that it is in use, which a child made by a fork holds too."""

    folder: Path
    lock: int

    def use(self) -> None:
        """Have this process, and what it starts, put there what is temporary, Ray's logs among it."""
        os.environ["TMPDIR"] = os.environ[GLOG] = str(self.folder)
        tempfile.tempdir = None  # which was read from the environment before

    def remove(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)
        os.close(self.lock)


def make() -> Optional[Scratch]:
    """Make a folder, and remove those of jobs that are dead; None where there is no place, as the job will say."""
    with suppress(OSError):
        place = tempfile.gettempdir()
        root = Path(place if len(place) <= LONGEST_PLACE else SHORT_PLACE)
        remove_dead(root)
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=str(root)))
        return Scratch(folder, _locked(folder))
    return None


def _locked(folder: Path) -> int:
    unnamed = folder / ".new"
    lock = os.open(unnamed, os.O_CREAT | os.O_RDWR, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)  # before it has the name by which another start finds it
    unnamed.rename(folder / LOCK)
    return lock


def remove_dead(root: Path) -> None:
    """Remove the folders of this user whose lock nobody holds."""
    for lock in root.glob(f"{PREFIX}*/{LOCK}"):
        with suppress(OSError):  # another's, or gone by now, or in use
            if lock.lstat().st_uid == os.geteuid():
                _remove_unless_held(lock)


def _remove_unless_held(lock: Path) -> None:
    held = os.open(lock, os.O_RDWR | os.O_NOFOLLOW)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(lock.parent, ignore_errors=True)
    finally:
        os.close(held)
