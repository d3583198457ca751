"""The directory that plays /opt/ml: what lies in it when a job starts, and which may be used."""

from __future__ import annotations

import json
import shutil
import socket
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Dict, Mapping, Optional, Sequence

from rl_app import disk
from rl_app.errors import UserError
from rl_app.job import user_code
from rl_app.job.sagemaker import Paths
from rl_app.local.record import as_json
from rl_app.storage import job_record, layout
from rl_app.storage.base import WORK, Store
from rl_app.storage.directory import DirectoryStore
from rl_app.storage.job_record import Record
from rl_app.storage.mirror import restore

if TYPE_CHECKING:
    from rl_app.local.checked_job import CheckedJob

NOT_UPLOADED = "not-uploaded.json"
"""In the directory of a job whose store has not taken all: the job.json that is true once it has."""

RUN = "run.json"
"""In the directory of a job: the processes of the run that it is of."""


def base_of(store: Store, name: str, environ: Mapping[str, str]) -> Optional[Path]:
    """Return where a job runs that is given no place: beside its directory store, or in RL_WORK, which outlives it."""
    work = environ.get("RL_WORK")
    if isinstance(store, DirectoryStore):
        return store.root / WORK / name
    return Path(work) / name if work else None


def check_base(paths: Paths) -> None:
    """Refuse a directory whose files are not the remains of a job that can be removed."""
    note = paths.base / NOT_UPLOADED
    if note.exists():
        name = job_record.read(note.read_bytes(), str(note))["TrainingJobName"]
        command = f"`scripts/upload {name}` brings it to its store"
        raise UserError(f"{paths.base}: holds what job {name} could not upload; {command}")
    if (paths.config / "hyperparameters.json").exists():
        return
    for directory in _contract_directories(paths):
        if directory.is_dir() and any(directory.iterdir()):
            raise UserError(f"{directory} holds files of something else; --work DIR takes another directory")


def _contract_directories(paths: Paths) -> Sequence[Path]:
    """Return what a job fills. Channels and code may have been mounted and are left alone."""
    own = _source_directory(paths), source_archive(paths).parent
    return (paths.config, paths.model, paths.output, paths.checkpoints, *own)


def _source_directory(paths: Paths) -> Path:
    return paths.base / "source"


def source_archive(paths: Paths) -> Path:
    """Name the user's code as the store has it, where the job has some."""
    return paths.base / "sourcedir" / layout.SOURCE_ARCHIVE


def has_last(earlier: Record, paths: Paths) -> bool:
    """Return whether the directory is that of the job's last run, which was killed.

    What it has saved is brought to the store one way: its checkpoints are as new as those there, or newer.
    """
    with suppress(OSError, ValueError):
        run, last = json.loads((paths.base / RUN).read_text()), earlier.get("Local")
        if last and run["Space"] == last["Space"] and run["Processes"].items() <= last["Processes"].items():
            return any(paths.checkpoints.iterdir())
    return False


def clear(paths: Paths) -> None:
    """Empty the directories, which stay: they may be mounts."""
    with suppress(FileNotFoundError):
        (paths.base / RUN).unlink()
    for directory in _contract_directories(paths):
        for child in directory.iterdir() if directory.is_dir() else ():
            shutil.rmtree(child) if child.is_dir() and not child.is_symlink() else child.unlink()


def stage(request: CheckedJob, record: Record, base: Path) -> Paths:
    """Lay out what SageMaker lays out in /opt/ml; a job that goes on finds its checkpoints there."""
    paths, name = Paths(base), record["TrainingJobName"]
    clear(paths)
    in_compose = socket.gethostname() == "algo-1"
    host = "algo-1" if in_compose else "localhost"  # a name that does not resolve holds sagemaker-training up
    config = DirectoryStore(paths.config)
    staged = {"sagemaker_s3_output": request.store.url, **_stage_code(request, name, paths)}
    config.write("hyperparameters.json", as_json({**request.hyperparameters, **staged}))
    config.write(
        "inputdataconfig.json", as_json({channel: {"TrainingInputMode": "File"} for channel in request.inputs})
    )
    config.write(
        "resourceconfig.json",
        as_json({"current_host": host, "hosts": [host], "network_interface_name": "eth0" if in_compose else "lo"}),
    )
    for directory in (paths.data, paths.model, paths.output_data, paths.intermediate, paths.checkpoints):
        directory.mkdir(parents=True, exist_ok=True)
    disk.reserve(base)
    if request.earlier:
        restore(request.store, f"{name}/{layout.CHECKPOINTS}", paths.checkpoints)
    # once they are whole: what the next run finds is brought over the store's
    DirectoryStore(base).write(RUN, as_json(record["Local"]))
    for channel, content in request.inputs.items():
        shutil.rmtree(paths.data / channel, ignore_errors=True)
        content.fetch(paths.data / channel)
    return paths


def _stage_code(request: CheckedJob, name: str, paths: Paths) -> Dict[str, str]:
    """Keep the user's code with the job and unpack it; return the hyperparameter that says where.

    An evaluation without any of its own takes what the first of its models that has some was trained with.
    """
    archive, directory = source_archive(paths), _source_directory(paths)
    key = f"{name}/{layout.SOURCE}"
    archive.parent.mkdir(parents=True, exist_ok=True)
    if request.code:
        user_code.pack(request.code, archive)
        request.store.upload(archive, key)
    elif request.earlier:
        with suppress(FileNotFoundError):
            request.store.download(key, archive)
    trained = request.models.values() if request.is_evaluation and not request.code else ()
    for model in [each for each in trained if each.source][:1]:
        model.store.download(str(model.source), archive)
        request.store.upload(archive, key)
    if not archive.exists():
        return {}
    user_code.unpack(archive, directory)
    return {"sagemaker_submit_directory": str(directory)}
