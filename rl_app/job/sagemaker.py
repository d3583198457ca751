"""SageMaker's contract with a training container: the files of ``/opt/ml``, and nothing about training."""

from __future__ import annotations

import json
import os
import re
import shlex
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, List, Mapping, Optional, Tuple

from rl_app import disk
from rl_app.errors import UserError
from rl_app.files import write_text
from rl_app.job.config_file import read_object

JOB_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")
CHANNEL_NAME = re.compile(r"[A-Za-z0-9.\-_]{1,64}")
SOURCE_FILES = ("envs.py", "experiments.py", "models.py", "callbacks.py")
"""What a user's code may be besides a program: environments and experiments for the job built into the image."""
RESERVED = ("sagemaker_", "_tuning_objective_metric")
"""How the hyperparameters begin that are SageMaker's own."""
CODE, DRIVERS = "code", "sm_drivers"
"""The channels in which version 3 of SageMaker's SDK hands over a user's code, and the scripts that start it."""
WEIGHTS = "checkpoint"
"""The channel with the model or the checkpoints that a training begins with."""
MODEL = "model"
"""The channel with the one model that an evaluation plays; what lies beside it in others is its environment's."""
MOST_READ = 10_000
"""Hyperparameters, far more than SageMaker's 100; to look for what each of a million was meant to be takes minutes."""


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
    def packages(self) -> Path:
        """Return where a user's requirements.txt is installed, which is ours and none of SageMaker's."""
        return self.base / "packages"

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

    Of ``hyperparameters`` the values of the reserved ones are decoded; ``program`` is the user's own program, if any;
    ``job_name`` is None where nobody plays SageMaker. ``code`` is the channel that holds the user's environments and
    experiments, if one does; it is none of ``channels``. ``groups`` are the hosts of each instance group of a job that
    has some.
    """

    hyperparameters: Dict[str, str]
    channels: Dict[str, Path]
    hosts: List[str]
    current_host: str
    program: Optional[str]
    job_name: Optional[str]
    code: Optional[Path] = None
    groups: Mapping[str, List[str]] = field(default_factory=dict)

    @property
    def head(self) -> str:
        """Return the host that trains, the same on all of them: the first, where 10 comes after 2."""
        group = self.hyperparameters.get("head_group")
        hosts = self.groups.get(group or "", self.hosts)
        return min(hosts, key=lambda host: [int(part) if part.isdigit() else 0 for part in re.split(r"(\d+)", host)])

    @property
    def is_head(self) -> bool:
        """Return whether it is this host."""
        return self.current_host == self.head


def paths(environ: Mapping[str, str] = os.environ) -> Paths:
    """Return ``/opt/ml``, or where ``SAGEMAKER_BASE_DIR`` moves it, which sagemaker-training reads too."""
    return Paths(Path(environ.get("SAGEMAKER_BASE_DIR") or "/opt/ml"))


def read_config(paths: Paths, environ: Mapping[str, str] = os.environ) -> Contract:
    """Read and check the files of ``input/config``; ``inputdataconfig.json`` may be missing.

    Raises:
        UserError: a file is missing, is no UTF-8, no JSON or not of the shape that SageMaker writes, with the
            file, the line and the column.
    """
    if not paths.config.is_dir():
        raise UserError(f"{paths.config} is missing: mount SageMaker's /opt/ml, or let SAGEMAKER_BASE_DIR name one")
    hyperparameters = decode_reserved(_hyperparameters(paths.config / "hyperparameters.json"))
    hosts, current_host, groups = _hosts(paths.config / "resourceconfig.json", hyperparameters.get("head_group"))
    channels = _channels(paths.config / "inputdataconfig.json", paths.data)
    code = channels.pop(CODE) if _holds_source(channels.get(CODE)) else None
    return Contract(
        hyperparameters=hyperparameters,
        channels={name: channel for name, channel in channels.items() if name != DRIVERS},
        hosts=hosts,
        current_host=current_host,
        program=program_of(hyperparameters) or program_of({"sagemaker_program": environ.get("SAGEMAKER_PROGRAM")}),
        job_name=environ.get("TRAINING_JOB_NAME"),
        code=code,
        groups=groups,
    )


def program_of(hyperparameters: Mapping[str, Optional[str]]) -> Optional[str]:
    """Return the user's own program; None where the built-in job runs, be it with environments of the user's."""
    program = decode(hyperparameters.get("sagemaker_program") or "null")
    return None if program in SOURCE_FILES else program


def check_program(file: Path) -> None:
    """Raise UserError for what sagemaker-training would not run as a program."""
    if not file.is_file():
        raise UserError(f"--program {file}: is a directory; it takes the file that is to run")
    if file.name in SOURCE_FILES:
        raise UserError(f"--program {file}: a file of a source, by its name: rename it, or give --source")
    if file.suffix != ".py" and shlex.quote(file.name) != file.name:
        raise UserError(f"--program {file}: a shell starts it, and takes such a name apart: rename it")


def decode_reserved(hyperparameters: Mapping[str, str]) -> Dict[str, str]:
    """Decode SageMaker's own values, which its SDK sends as JSON; one that is null is not there."""
    decoded = {key: decode(value) if key.startswith(RESERVED) else value for key, value in hyperparameters.items()}
    return {key: value for key, value in decoded.items() if value is not None}


def decode(text: str) -> Optional[str]:
    """Read a value as sagemaker-training does, JSON where it parses, else the text; a number stays text here."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if value is None or isinstance(value, str) else text


def _hyperparameters(file: Path) -> Dict[str, str]:
    values = read_object(file)
    if len(values) > MOST_READ:
        raise UserError(f"{file}: {len(values)} hyperparameters; at most {MOST_READ} are read")
    for key, value in values.items():
        if not isinstance(value, str):
            raise UserError(f"{file}: {key} = {json.dumps(value)}: every hyperparameter is a string, in quotes")
    return values


def _channels(file: Path, data: Path) -> Dict[str, Path]:
    channels = read_object(file) if file.exists() else {}
    for name in channels:
        if not CHANNEL_NAME.fullmatch(name):
            raise UserError(f"{file}: channel {json.dumps(name)}: 1 to 64 letters, digits, dots, hyphens, underscores")
    return {name: data / name for name in channels}


def _holds_source(channel: Optional[Path]) -> bool:
    return channel is not None and any((channel / name).exists() for name in SOURCE_FILES)


def _hosts(file: Path, head_group: Optional[str]) -> Tuple[List[str], str, Dict[str, List[str]]]:
    resources = read_object(file)
    hosts, current_host = resources.get("hosts"), resources.get("current_host")
    if not isinstance(hosts, list) or not hosts or not all(isinstance(host, str) for host in hosts):
        raise UserError(f"{file}: hosts = {json.dumps(hosts)}: expected a list with the name of each host")
    if not isinstance(current_host, str) or current_host not in hosts:
        raise UserError(
            f"{file}: current_host = {json.dumps(current_host)}: expected one of hosts, {json.dumps(hosts)}"
        )
    try:
        groups = {each["instance_group_name"]: list(each["hosts"]) for each in resources.get("instance_groups") or []}
    except (TypeError, KeyError):
        raise UserError(f"{file}: instance_groups: expected a list of a name and hosts each") from None
    if head_group is not None and not groups.get(head_group):
        raise UserError(f"head_group = {json.dumps(head_group)}: must be one of {json.dumps([*groups])}")
    return hosts, current_host, groups


def check_one_host(contract: Contract) -> None:
    """Raise UserError for a job of several hosts, of which all but one would idle."""
    if len(contract.hosts) > 1:
        raise UserError(f"hosts = {json.dumps(contract.hosts)}: an evaluation runs on one; set the instance count to 1")


def make_output_directories(paths: Paths) -> None:
    """Make the directories that a job writes to; some of them SageMaker mounts only where they are asked for.

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


def has_model(paths: Paths) -> bool:
    """Return whether there is anything that would go into model.tar.gz."""
    return any(entry.is_file() for entry in paths.model.rglob("*"))


def write_failure(paths: Paths, reason: str) -> None:
    """Write ``output/failure``, of which SageMaker shows 1,024 characters; nothing without ``/opt/ml``."""
    if not paths.base.is_dir():
        return
    paths.output.mkdir(exist_ok=True)
    with disk.given_back(paths.output), suppress(OSError):
        write_text(paths.failure, reason)


def failure(paths: Paths) -> str:
    """Return what the job gave as the reason of its failure; "" where it gave none."""
    try:
        return paths.failure.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def give_to_owner(paths: Paths) -> None:
    """As root, give what root owns in model, output and checkpoints to the owner of the directory it is in.

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
