"""SageMaker's contract with a training container: the files of ``/opt/ml``, and nothing about training."""

from __future__ import annotations

import json
import os
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Tuple

from rl_app import disk
from rl_app.errors import UserError

JOB_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")
CHANNEL_NAME = re.compile(r"[A-Za-z0-9.\-_]{1,64}")
SOURCE_FILES = ("envs.py", "experiments.py")
"""What a user's code may be besides a program: environments and experiments for the job built into the image."""


@dataclass(frozen=True)
class Paths:
    """The directories and files of the contract, below ``base``."""

    base: Path

    @property
    def config(self) -> Path:
        return self.base / "input" / "config"

    @property
    def data(self) -> Path:
        return self.base / "input" / "data"

    @property
    def model(self) -> Path:
        return self.base / "model"

    @property
    def code(self) -> Path:
        return self.base / "code"

    @property
    def output(self) -> Path:
        return self.base / "output"

    @property
    def output_data(self) -> Path:
        return self.output / "data"

    @property
    def intermediate(self) -> Path:
        return self.output / "intermediate"

    @property
    def failure(self) -> Path:
        return self.output / "failure"

    @property
    def success(self) -> Path:
        return self.output / "success"

    @property
    def checkpoints(self) -> Path:
        return self.base / "checkpoints"


@dataclass(frozen=True)
class Contract:
    """What SageMaker tells a training container.

    ``program`` is the user's own program, if any; ``job_name`` is None where nobody plays SageMaker.
    """

    hyperparameters: Dict[str, str]
    channels: Dict[str, Path]
    hosts: List[str]
    current_host: str
    program: Optional[str]
    job_name: Optional[str]


def paths(environ: Mapping[str, str] = os.environ) -> Paths:
    """``/opt/ml``, or where ``SAGEMAKER_BASE_DIR`` moves it, which sagemaker-training reads too."""
    return Paths(Path(environ.get("SAGEMAKER_BASE_DIR") or "/opt/ml"))


def read_config(paths: Paths, environ: Mapping[str, str] = os.environ) -> Contract:
    """Reads and checks the files of ``input/config``; ``inputdataconfig.json`` may be missing.

    Raises:
        UserError: a file is missing, is no UTF-8, no JSON or not of the shape that SageMaker writes, with the
            file, the line and the column; or there is more than one host.
    """
    if not paths.config.is_dir():
        raise UserError(f"{paths.config} is missing: mount SageMaker's /opt/ml, or let SAGEMAKER_BASE_DIR name one")
    hyperparameters = _hyperparameters(paths.config / "hyperparameters.json")
    hosts, current_host = _hosts(paths.config / "resourceconfig.json")
    return Contract(
        hyperparameters=hyperparameters,
        channels=_channels(paths.config / "inputdataconfig.json", paths.data),
        hosts=hosts,
        current_host=current_host,
        program=program_of(hyperparameters) or program_of({"sagemaker_program": environ.get("SAGEMAKER_PROGRAM")}),
        job_name=environ.get("TRAINING_JOB_NAME"),
    )


def program_of(hyperparameters: Mapping[str, Optional[str]]) -> Optional[str]:
    """The user's own program; None where the job built into the image runs, be it with environments of the user's."""
    program = hyperparameters.get("sagemaker_program")
    return None if program in SOURCE_FILES else program


def _hyperparameters(file: Path) -> Dict[str, str]:
    values = _object(file)
    for key, value in values.items():
        if not isinstance(value, str):
            raise UserError(f"{file}: {key} = {json.dumps(value)}: every hyperparameter is a string, in quotes")
    return values


def _channels(file: Path, data: Path) -> Dict[str, Path]:
    channels = _object(file) if file.exists() else {}
    for name in channels:
        if not CHANNEL_NAME.fullmatch(name):
            raise UserError(f"{file}: channel {json.dumps(name)}: 1 to 64 letters, digits, dots, hyphens, underscores")
    return {name: data / name for name in channels}


def _hosts(file: Path) -> Tuple[List[str], str]:
    resources = _object(file)
    hosts, current_host = resources.get("hosts"), resources.get("current_host")
    if not isinstance(hosts, list) or not hosts or not all(isinstance(host, str) for host in hosts):
        raise UserError(f"{file}: hosts = {json.dumps(hosts)}: expected a list with the name of each host")
    if not isinstance(current_host, str) or current_host not in hosts:
        raise UserError(
            f"{file}: current_host = {json.dumps(current_host)}: expected one of hosts, {json.dumps(hosts)}"
        )
    if len(hosts) > 1:
        raise UserError(f"{file}: hosts = {json.dumps(hosts)}: a job runs on one host; set the instance count to 1")
    return hosts, current_host


def _object(file: Path) -> Dict[str, Any]:
    """The JSON object that the file holds."""
    try:
        raw = file.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{file} is missing: SageMaker writes it for every job") from None
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error.strerror}") from error
    try:
        value = json.loads(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode("utf-8")
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        raise UserError(f"{file}, line {line}, column {column}: byte 0x{raw[error.start]:02x} is no UTF-8") from None
    except json.JSONDecodeError as error:
        raise UserError(f"{file}, line {error.lineno}, column {error.colno}: no JSON: {error.msg}") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{file}, line 1, column 1: no JSON that can be read: {error}") from None
    if not isinstance(value, dict):
        raise UserError(f"{file}, line 1, column 1: expected a JSON object, not {type(value).__name__}")
    return value


def make_output_directories(paths: Paths) -> None:
    """Makes the directories that a job writes to; some of them SageMaker mounts only where they are asked for.

    What an earlier job left as its result is removed.

    Raises:
        UserError: one of them cannot be made or written to, or its disk is full.
    """
    for directory in (paths.model, paths.output_data, paths.intermediate, paths.checkpoints):
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"{directory} cannot be made: {error.strerror}") from error
        if not os.access(directory, os.W_OK | os.X_OK):
            raise UserError(f"{directory} is not writable: a job leaves its files there")
        disk.check_space(directory)
    for result in (paths.failure, paths.success):
        with suppress(FileNotFoundError):
            result.unlink()
    disk.reserve(paths.output)


def complete_config(paths: Paths) -> None:
    """Writes an empty ``inputdataconfig.json`` where there is none: sagemaker-training fails without it."""
    file = paths.config / "inputdataconfig.json"
    if not file.exists():
        file.write_text("{}")


def write_failure(paths: Paths, reason: str) -> None:
    """Writes ``output/failure``, of which SageMaker shows 1,024 characters; nothing without ``/opt/ml``."""
    if not paths.base.is_dir():
        return
    paths.output.mkdir(exist_ok=True)
    beside = paths.output / ".tmp-failure"
    with disk.given_back(paths.output), suppress(OSError):
        beside.write_text(reason, encoding="utf-8")
        os.replace(beside, paths.failure)


def failure(paths: Paths) -> str:
    """What the job gave as the reason of its failure; "" where it gave none."""
    try:
        return paths.failure.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def give_to_owner(paths: Paths) -> None:
    """As root, gives what root owns in model, output and checkpoints to the owner of the directory it is in.

    A directory of root's own passes on the owner of the one above, so a mounted ``/opt/ml``, or any directory
    mounted into it, ends up as its owner's. Symbolic links are not followed.
    """
    if os.geteuid() != 0 or not paths.base.is_dir():
        return
    written = {paths.model.name, paths.output.name, paths.checkpoints.name}
    for directory, subdirectories, files, descriptor in os.fwalk(paths.base):
        if directory == os.fspath(paths.base):
            subdirectories[:] = [name for name in subdirectories if name in written]
            files = []
        owner = os.fstat(descriptor)
        for name in subdirectories + files:
            # What vanished meanwhile has no owner, and what lies on a read-only mount keeps it
            with suppress(OSError):
                if os.stat(name, dir_fd=descriptor, follow_symlinks=False).st_uid == 0 != owner.st_uid:
                    os.chown(name, owner.st_uid, owner.st_gid, dir_fd=descriptor, follow_symlinks=False)


def check_job_name(name: str) -> None:
    """SageMaker's rule for the name of a training job.

    Raises:
        UserError: the name breaks it.
    """
    if len(name) > 63 or not JOB_NAME.fullmatch(name):
        raise UserError(f"job name = {json.dumps(name)}: must be 1 to 63 letters, digits, hyphens; no hyphen at an end")
