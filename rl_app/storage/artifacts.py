"""Trained models: found by a job's name, a URL, a file or a directory, and brought to where they are used."""

from __future__ import annotations

import difflib
import os
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Dict, List, Mapping, Optional

from rl_app.errors import UserError
from rl_app.storage import archives, job_record, layout
from rl_app.storage.base import Store
from rl_app.storage.directory import DirectoryStore
from rl_app.storage.opening import open_store

UNPACKED = "model"
"""Where scripts/fetch puts the model of a job."""
POLICY, CHECKPOINT, SAVED_MODEL = "policy.json", "checkpoint", "1/saved_model.pb"
"""What a model has, of which AWS's own launcher writes all but the first."""

_SAVED = re.compile(r"/checkpoint-\d+(\.[^/]*)?$")
"""The files of a checkpoint in Tune's layout."""


@dataclass(frozen=True)
class Model:
    """Where a model lies.

    ``name`` is short, such as its job's; ``keys`` are those of one archive, or of the files below ``folder``;
    ``source`` is the key of the user's own code that its job kept, if any.
    """

    name: str
    uri: str
    store: Store
    keys: List[str]
    folder: str
    source: Optional[str]

    def fetch(self, directory: Path) -> None:
        """Bring it here as SageMaker brings it to a channel: ``model.tar.gz``, or its files."""
        if self.keys[0].endswith(".gz"):
            self.store.download(self.keys[0], directory / layout.MODEL_ARCHIVE)
            return
        for key in self.keys:
            self.store.download(key, directory / (PurePosixPath(key).relative_to(self.folder) if self.folder else key))


def locate(place: str, store: Store, environ: Mapping[str, str] = os.environ, checkpoints_too: bool = False) -> Model:
    """Find the model of ``place``: an s3:// URL, a file or directory here, or the name of a job of ``store``.

    A URL or directory is that of a job, or holds model.tar.gz or a model's files.

    Args:
        checkpoints_too: where there is no model, one checkpoint or several will do.

    Raises:
        UserError: there is no such thing, or no model in it.
    """
    path = Path(place).expanduser()
    if "://" not in place and not path.exists():
        if path.name != place or place.endswith(".gz"):
            raise UserError(f"{place}: there is no such file or directory")
        return _of_job(place, store, checkpoints_too)
    whole = place.rstrip("/") if "://" in place else str(path.resolve())
    if whole.endswith(f"/{layout.MODEL}"):
        whole = whole[: -len(f"/{layout.MODEL}")]
    if path.is_file() and not place.endswith(".gz"):
        raise UserError(f"{place}: a model is a model.tar.gz, a directory, an s3:// URL or a job's name")
    parent, _, name = whole.rpartition("/")
    if whole.endswith(".gz"):
        outside = open_store(parent, environ, make=False)
        if not _there(outside, name):
            raise UserError(f"{place}: there is no such file")
        return Model(re.sub(r"(\.tar)?\.gz$", "", name), whole, outside, [name], "", None)
    found = _in(open_store(whole, environ, make=False), "", name, whole, checkpoints_too)
    if found is None:
        raise UserError(f"{place}: neither {layout.MODEL}, {layout.MODEL_ARCHIVE}, {POLICY} nor {CHECKPOINT} is in it")
    return found


def newest(store: Store) -> Model:
    """Return the model of the newest completed training job; raises UserError where there is none."""
    records = {name: record for name in store.folders() for record in [_record(store, name)] if trained(record)}
    if not records:
        raise UserError(f"{store.url}: no completed training job in it; scripts/train makes one, MODEL names another")
    return _of_job(max(records, key=lambda name: str(records[name].get("CreationTime", ""))), store)


def trained(record: Mapping[str, Any]) -> bool:
    """Tell whether the job has trained a policy: no evaluation, nor a program of one's own, whose model is its own."""
    asked = record.get("HyperParameters", {})
    training = asked.get("command", "train") == "train" and "sagemaker_program" not in asked
    return training and record.get("TrainingJobStatus") == "Completed" and "ModelArtifacts" in record


def _of_job(name: str, store: Store, checkpoints_too: bool = False) -> Model:
    found = _in(store, name, name, f"{store.url}/{name}", checkpoints_too)
    if found is not None:
        return found
    record = _record(store, name)
    if record:
        kind = "an evaluation" if record.get("HyperParameters", {}).get("command") == "evaluate" else "a job"
        raise UserError(
            f"{name}: {kind} of {store.url}, {record.get('TrainingJobStatus', 'without a status')}, and has no model"
        )
    near = difflib.get_close_matches(name, store.folders(), n=3)
    hint = f"; did you mean {' or '.join(near)}?" if near else ""
    raise UserError(f"{name}: no job of {store.url}, and no file or directory here{hint}")


def _record(store: Store, name: str) -> Dict[str, Any]:
    """Return what of a job's record is sound; {} where there is none."""
    try:
        text = store.read(f"{name}/{layout.RECORD}")
    except FileNotFoundError:
        return {}
    return job_record.read_what_is_sound(text, f"{store.url}/{name}/{layout.RECORD}")[0]


def _in(store: Store, folder: str, name: str, uri: str, checkpoints_too: bool = False) -> Optional[Model]:
    """Return the model in a folder of the store, which is a job's or the model's own."""
    below = f"{folder}/" if folder else ""
    code = f"{below}{layout.SOURCE}"
    for archive in (layout.MODEL, layout.MODEL_ARCHIVE):
        if _there(store, below + archive):
            return Model(
                name, f"{uri}/{archive}", store, [below + archive], folder, code if _there(store, code) else None
            )
    for part in (folder, f"{below}{UNPACKED}"):
        files = [f"{part}/{file}" if part else file for file in (POLICY, CHECKPOINT, SAVED_MODEL)]
        if any(_there(store, file) for file in files):
            where = uri if part == folder else f"{uri}/{UNPACKED}"
            keys = [entry.key for entry in store.list(part)]
            return Model(name, where, store, keys, part, code if _there(store, code) else None)
    return _checkpoints(store, folder, name, uri) if checkpoints_too else None


def _checkpoints(store: Store, folder: str, name: str, uri: str) -> Optional[Model]:
    """Return the checkpoints in a folder of the store: a job's, the folder of several, or that of one."""
    below = f"{folder}/" if folder else ""
    for part in (f"{below}{layout.CHECKPOINTS}", folder):
        keys = [entry.key for entry in store.list(part) if _SAVED.search(f"/{entry.key}")]
        if any(key.endswith(".tune_metadata") for key in keys):
            code = f"{below}{layout.SOURCE}"
            return Model(name, uri, store, keys, part, code if _there(store, code) else None)
    return None


def _there(store: Store, key: str) -> bool:
    if isinstance(store, DirectoryStore):
        return (store.root / key).is_file()
    parent = key.rpartition("/")[0]
    return any(entry.key == key for entry in store.list(parent))


def opened(channel: Path, scratch: Path) -> Path:
    """Return the directory with the model's files: the channel itself, or ``scratch`` with what model.tar.gz holds.

    Raises:
        UserError: neither is there, or the archive cannot be read.
    """
    if _is_model(channel):
        return channel
    there = sorted(channel.glob("*.tar.gz"))
    archive = next((each for each in there if each.name == layout.MODEL_ARCHIVE), there[0] if len(there) == 1 else None)
    if archive is None:
        raise UserError(f"{channel}: neither {layout.MODEL_ARCHIVE} nor {POLICY} nor {CHECKPOINT} is in it")
    try:
        archives.unpack(archive, scratch, archives.MODEL)
    except OSError as error:
        raise UserError(f"{archive}: cannot be unpacked: {error.strerror or error}") from None
    if not _is_model(scratch):
        raise UserError(f"{archive}: neither {POLICY} nor {CHECKPOINT} is in it")
    return scratch


def _is_model(directory: Path) -> bool:
    return any((directory / name).is_file() for name in (POLICY, CHECKPOINT, SAVED_MODEL))
