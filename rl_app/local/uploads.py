"""What a job leaves, brought to the store."""

from __future__ import annotations

import tarfile
import tempfile
import time
from pathlib import Path
from typing import List, Sequence

from rl_app.errors import JobError
from rl_app.job.sagemaker import Paths
from rl_app.local.opt_ml import source_archive
from rl_app.reports import link
from rl_app.storage import layout
from rl_app.storage.base import Store, temporary
from rl_app.storage.mirror import Mirror


def upload(
    store: Store, name: str, paths: Paths, mirrors: Sequence[Mirror], timeout: float, evaluated: bool
) -> List[str]:
    """Bring what the job left to the store, the model first; return the reasons why something is not there.

    Args:
        mirrors: of what is brought while the job runs, which end.
        timeout: seconds for all of it together.
        evaluated: the job is an evaluation, whose report is read from the store.
    """
    troubles, until = [], time.monotonic() + timeout

    def left() -> float:
        return max(0.0, until - time.monotonic())

    try:
        with tempfile.TemporaryDirectory(prefix=".tmp-", dir=paths.base) as folder:
            _archive(paths.model, Path(folder) / layout.MODEL_ARCHIVE)
            _archive(paths.output_data, Path(folder) / layout.OUTPUT_ARCHIVE)
            archives = Mirror(Path(folder), store, f"{name}/output")
            archives.start()
            archives.stop(left())
        _bring_source(store, name, source_archive(paths))
        if evaluated:
            link.unpack(paths.output_data, store, name, left())
    except (JobError, OSError) as error:
        troubles.append(str(error))
    for mirror in mirrors:
        try:
            mirror.stop(left())
        except JobError as error:
            troubles.append(str(error))
    return troubles


def _bring_source(store: Store, name: str, archive: Path) -> None:
    """Bring the user's code again, without which the job cannot go on, where the store has lost it meanwhile."""
    key = f"{name}/{layout.SOURCE}"
    if archive.exists() and not any(entry.key == key for entry in store.list(f"{name}/source")):
        store.upload(archive, key)


def bring_checkpoints(store: Store, name: str, paths: Paths, timeout: float) -> None:
    """Bring the checkpoints to the store, beside those that it has; raises JobError where it does not take them."""
    mirror = Mirror(paths.checkpoints, store, f"{name}/{layout.CHECKPOINTS}")
    mirror.start()
    try:
        mirror.stop(timeout)
    except JobError as error:
        raise JobError(f"{error}; {paths.base} stays") from error


def _archive(directory: Path, target: Path) -> None:
    """Pack what is in the directory, if anything is; the same files give the same names, order and owner."""
    names = whole(directory)
    if not names:
        return
    with tarfile.open(target, "w:gz", compresslevel=6) as archive:
        for name in names:
            archive.add(directory / name, str(name), recursive=False, filter=_anonymous)


def whole(directory: Path) -> List[Path]:
    """Return the relative paths below the directory, sorted, less those that were still being written."""
    paths = (path.relative_to(directory) for path in directory.rglob("*"))
    return sorted(path for path in paths if not any(map(temporary, path.parts)))


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member
