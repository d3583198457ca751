"""Containers of the image, and `/opt/ml` as SageMaker mounts it."""

from __future__ import annotations

import json
import os
import subprocess
import tarfile
from functools import lru_cache
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Set, Tuple

REPOSITORY = Path(__file__).parents[2]
IMAGE = "sagemaker-rllib:test"
CALLER = 1234  # a user id that is not root's, for who owns what a job leaves


class Ran(NamedTuple):
    status: int
    output: str


def docker(*words: str, deadline_s: float = 120.0) -> Ran:
    """Runs one docker command; standard output and standard error together, as a person sees them."""
    done = subprocess.run(
        ["docker", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        universal_newlines=True,
        timeout=deadline_s,
    )
    return Ran(done.returncode, done.stdout)


@lru_cache(maxsize=None)
def build(flavor: str, tag: str) -> str:
    """Builds the image of ``Dockerfile.<flavor>``, once for all rings, and returns its tag."""
    dockerfile = str(REPOSITORY / f"Dockerfile.{flavor}")
    built = docker("buildx", "build", "--load", "-f", dockerfile, "-t", tag, str(REPOSITORY), deadline_s=1800)
    assert built.status == 0, built.output
    return tag


def locked(flavor: str) -> Set[Tuple[str, str]]:
    """The packages of an image's lock and their versions."""
    lock = (REPOSITORY / "docker" / "requirements" / f"image-{flavor}.txt").read_text()
    return {_normalized(line.split()[0]) for line in lock.splitlines() if "==" in line and line[0] not in " #"}


def installed(image: str) -> Set[Tuple[str, str]]:
    """The Python packages of an image and their versions."""
    program = """
from importlib.metadata import distributions
print(*(f"{d.metadata['Name']}=={d.version}" for d in distributions()), sep=chr(10))
"""
    return set(map(_normalized, docker("run", "--rm", image, "python", "-c", program).output.split()))


def _normalized(requirement: str) -> Tuple[str, str]:
    name, version = requirement.split("==")
    return name.lower().replace("_", "-").replace(".", "-"), version


class OptMl:
    """A directory laid out as SageMaker's ``/opt/ml``, owned by CALLER."""

    def __init__(self, base: Path) -> None:
        self.base = base

    def configure(self, **hyperparameters: str) -> OptMl:
        config = self.base / "input" / "config"
        config.mkdir(parents=True)
        (config / "hyperparameters.json").write_text(json.dumps(hyperparameters))
        (config / "resourceconfig.json").write_text(
            json.dumps({"current_host": "algo-1", "hosts": ["algo-1"], "network_interface_name": "eth0"})
        )
        (config / "inputdataconfig.json").write_text("{}")
        for directory in ("model", "output/data", "checkpoints"):
            (self.base / directory).mkdir(parents=True, exist_ok=True)
        for directory, _, files in os.walk(self.base):
            for path in (directory, *(os.path.join(directory, file) for file in files)):
                os.chown(path, CALLER, CALLER)
        return self

    def run_options(self, *more: str) -> List[str]:
        return ["--rm", "--hostname", "algo-1", "-v", f"{self.base}:/opt/ml", *more]

    def train(self, image: str, *more: str, deadline_s: float = 180.0) -> Ran:
        return docker("run", *self.run_options(*more), image, "train", deadline_s=deadline_s)

    @property
    def failure(self) -> Optional[str]:
        file = self.base / "output" / "failure"
        return file.read_text() if file.exists() else None

    def owners(self) -> Dict[str, int]:
        return {
            str(path.relative_to(self.base)): path.lstat().st_uid
            for name in ("model", "output", "checkpoints")
            for path in (self.base / name).rglob("*")
        }


def pack(directory: Path, archive: Path) -> Path:
    with tarfile.open(str(archive), "w:gz") as tar:
        for path in sorted(directory.iterdir()):
            tar.add(str(path), arcname=path.name)
    return archive
