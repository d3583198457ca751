"""What keeps a directory and a part of a store the same."""

from __future__ import annotations

import logging
import threading
from pathlib import Path, PurePosixPath
from typing import Dict, Iterable, List, Optional, Tuple

from rl_app import disk
from rl_app.errors import JobError, UserError
from rl_app.storage.backoff import Backoff
from rl_app.storage.base import ChangedError, Entry, Store
from rl_app.storage.directory import files_below

LAST_PAUSE_S = 5.0
"""Between two tries once the job has ended, and somebody waits."""

_log = logging.getLogger(__name__)
_STORE = ""
"""What the trouble of the store itself is kept under, in place of a file's name."""
_Fingerprint = Tuple[int, int, int]


class Mirror:
    """Keeps what is in ``directory`` below ``prefix`` of the store, from start() to stop(), in a thread.

    A pass each ``interval`` seconds uploads what is new or changed since the last, the oldest first: what is
    written after all that it speaks of arrives after it. With ``delete`` what vanishes here vanishes there; without,
    only what stands in the way of something new, as a file does where there is a folder now.
    Symbolic links and names that begin or end with ".tmp" are left out.

    What the store does not take is tried again later and later, while the other files go on. Whatever the store
    lost meanwhile is brought again.
    """

    def __init__(self, directory: Path, store: Store, prefix: str, delete: bool = False, interval: float = 1.0) -> None:
        self._directory = directory
        self._store = store
        self._prefix = prefix
        self._delete = delete
        self._interval = interval
        self._kept: Dict[str, Optional[_Fingerprint]] = {}
        self._is_sure = False  # that what is kept is in the store
        self._waiting: List[str] = []
        self._troubles: Dict[str, str] = {}
        self._told = False
        self._backoff = Backoff(interval)
        self._stopping = threading.Event()
        self._given_up = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"mirror {prefix}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout: float) -> None:
        """Bring the store up to date, trying again for at most ``timeout`` seconds, and end.

        Raises:
            JobError: names the files that are not in the store, and why.
        """
        self._stopping.set()
        self._thread.join(timeout)
        self._given_up.set()
        trouble = self._trouble or ("no time was left" if self._thread.is_alive() else None)
        if trouble:
            waiting = self._waiting[:5] + [f"{len(self._waiting) - 5} more"] * (len(self._waiting) > 5)
            lacks = ", ".join(waiting) or "the last changes"
            raise JobError(f"{self._store.url}/{self._prefix} lacks {lacks}: {trouble}")

    # ---- the thread

    def _run(self) -> None:
        while not self._stopping.wait(self._interval):
            if self._backoff.is_due(_STORE):
                self._try()
        self._is_sure = False
        pause = self._interval
        while True:
            self._try()
            # A disk that is full at the end of a job is not waited for: the job itself fills it
            is_full = any(disk.NO_SPACE in trouble for trouble in self._troubles.values())
            if not self._troubles or is_full or self._given_up.wait(pause):
                return
            pause = min(2 * pause, LAST_PAUSE_S)

    def _try(self) -> None:
        """Make one pass, and tell when trouble begins and when it is over."""
        try:
            self._pass()
            self._over(_STORE)
        except Exception as error:  # whatever it was: a thread that ends uploads nothing more
            self._is_sure = False
            self._failed(_STORE, str(error) or type(error).__name__)
        if self._troubles and not self._told:
            _log.warning("%s; trying again", self._trouble)
        elif self._told and not self._troubles:
            _log.warning("store %s: %s is up to date again", self._store.url, self._prefix)
        self._told = bool(self._troubles)

    def _pass(self) -> None:
        here = {name: (stat.st_mtime_ns, stat.st_size, stat.st_ino) for name, stat in files_below(self._directory)}
        self._waiting = self._changed(here)
        if not self._is_sure:
            self._compare()
            self._waiting = self._changed(here)
        vanished = [name for name in self._kept if name not in here]
        doomed = vanished if self._delete else []
        for name in [name for name in self._troubles if name not in here and name not in doomed]:
            self._over(name)
        self._remove(in_the_way(vanished, self._waiting))
        self._bring({name: here[name] for name in self._waiting})
        if self._delete and self._directory.is_dir():
            self._remove([name for name in vanished if name in self._kept])

    def _changed(self, here: Dict[str, _Fingerprint]) -> List[str]:
        """List what is to be brought, the oldest first."""
        changed = (name for name in here if self._kept.get(name) != here[name])
        return sorted(changed, key=lambda name: (here[name], name))

    def _compare(self) -> None:
        """Forget what the store has not got, or not whole; raises JobError where it does not answer."""
        found = {str(PurePosixPath(entry.key).relative_to(self._prefix)): entry.size for entry in self._list()}
        self._kept = {
            name: kept if kept and kept[1] == size else None
            for name, size, kept in ((name, size, self._kept.get(name)) for name, size in found.items())
        }
        self._is_sure = True

    def _bring(self, files: Dict[str, _Fingerprint]) -> None:
        """Upload each; raises JobError where the store takes none because it does not answer at all."""
        answers = False
        for name, fingerprint in files.items():
            if not (self._backoff.is_due(name) or self._stopping.is_set()):
                continue
            try:
                self._store.upload(self._directory / name, f"{self._prefix}/{name}")
            except (OSError, UserError, JobError) as error:
                self._refused(name, error)
                if isinstance(error, JobError) and not (answers or isinstance(error, ChangedError)):
                    self._list()
                    answers = True
            else:
                self._kept[name] = fingerprint
                self._waiting.remove(name)
                self._over(name)

    def _refused(self, name: str, error: Exception) -> None:
        """Note the trouble of one file; one that vanished has none, nor one that is still being written."""
        if not (self._directory / name).is_file():
            self._waiting.remove(name)
        elif not isinstance(error, ChangedError) or self._stopping.is_set():
            self._failed(name, str(error))

    def _remove(self, names: Iterable[str]) -> None:
        for name in names:
            if self._backoff.is_due(name) or self._stopping.is_set():
                try:
                    self._store.delete(f"{self._prefix}/{name}")
                    del self._kept[name]
                    self._over(name)
                except (JobError, UserError) as error:
                    self._failed(name, str(error))

    def _list(self) -> List[Entry]:
        return self._store.list(self._prefix)

    # ---- trouble

    @property
    def _trouble(self) -> Optional[str]:
        return next(iter(self._troubles.values()), None)

    def _failed(self, name: str, trouble: str) -> None:
        self._troubles[name] = trouble
        self._backoff.failed(name)

    def _over(self, name: str) -> None:
        self._troubles.pop(name, None)
        self._backoff.succeeded(name)


def in_the_way(old: Iterable[str], new: Iterable[str]) -> List[str]:
    """Find the old files that are folders of new ones, or in folders that are new files."""
    files = set(new)
    folders = {str(folder) for name in files for folder in PurePosixPath(name).parents}
    return [name for name in old if name in folders or files.intersection(map(str, PurePosixPath(name).parents))]


def restore(store: Store, prefix: str, directory: Path) -> None:
    """Download all below ``prefix``, the oldest first: the order in which a Mirror would put it back."""
    for entry in sorted(store.list(prefix), key=lambda entry: entry.modified):
        store.download(entry.key, directory / PurePosixPath(entry.key).relative_to(prefix))
