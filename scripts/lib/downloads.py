"""Files of a job's store on this machine, with what has arrived on standard error."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Callable, Iterator, Optional, Sequence

from rl_app.storage.base import Entry
from rl_app.storage.directory import DirectoryStore
from scripts.lib.cli import note
from scripts.lib.jobs import Job
from scripts.lib.wording import in_bytes

Arrived = Callable[[int], None]
"""Is told the bytes of a file that have arrived."""


@contextmanager
def downloaded(job: Job, key: str, path: Path, arrived: Arrived) -> Iterator[Path]:
    """Yield a file of the store, at ``path`` or where it is on this machine anyway."""
    if isinstance(job.store, DirectoryStore):
        file = job.store.root / key
        arrived(file.stat().st_size)
        yield file
        return
    job.store.download(key, path, arrived)
    try:
        yield path
    finally:
        path.unlink()


class DownloadProgress:
    """Shows on stderr what arrives: a bar on a terminal, a line a file elsewhere."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.total = sum(entry.size for entry in entries)
        self.bar: Optional[Any] = None
        self.task: Any = None

    def __enter__(self) -> DownloadProgress:
        with suppress(ImportError):  # rich is there with boto3; a directory's files need no bar
            from rich.console import Console
            from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

            console = Console(stderr=True)
            if console.is_terminal:
                columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
                self.bar = Progress(*columns, console=console, transient=True)
                self.task = self.bar.add_task("", total=self.total)
                self.bar.start()
        return self

    def __exit__(self, *_: Any) -> None:
        if self.bar:
            self.bar.stop()

    def begin(self, entry: Entry) -> Arrived:
        """Say that the file comes now; return what is to be told the bytes of it that have arrived."""
        if self.bar is None:
            note(f"{entry.key}  {in_bytes(entry.size)}")
            return lambda size: None
        bar = self.bar
        bar.update(self.task, description=entry.key)
        return lambda size: bar.advance(self.task, size)
