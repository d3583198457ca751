"""Our images: built from the tree as it is, and tagged with what they were built from."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Dict, List, Mapping

from rl_app.errors import JobError, UserError
from scripts.lib import engine
from scripts.lib.environments import ROOT

FLAVORS = ("cpu", "gpu")
NAME = "sagemaker-rllib"
"""The project's name: of images, of their repository, of the role, and of the tag that our jobs have."""
PLATFORM = "linux/amd64"


@dataclass(frozen=True)
class Revision:
    """What the working tree is: a commit, or one with changes."""

    commit: str
    seconds: int  # the commit's time, since 1970
    dirty: bool

    @property
    def short(self) -> str:
        """As tags have it."""
        return self.commit[:12]


@dataclass(frozen=True)
class Image:
    """An image that the engine holds. ``id`` is "sha256:" and 64 digits."""

    flavor: str
    tag: str
    id: str

    @property
    def local(self) -> str:
        """Its name here."""
        return f"{NAME}:{self.tag}"


def check_engine() -> None:
    """Raise UserError where no Docker engine answers."""
    reason = engine.why_not()
    if reason:
        raise UserError(f"no Docker engine: {reason}")


def build(flavor: str, root: Path = ROOT) -> Image:
    """Build the image from the tree as it is.

    Raises:
        UserError: no Dockerfile of this flavor, or no git revision.
        JobError: the build failed, for a reason that Docker has printed.
    """
    dockerfile = root / f"Dockerfile.{flavor}"
    if not dockerfile.exists():
        raise UserError(f"{flavor}: there is no {dockerfile.name} here")
    revision = revision_of(root)
    epoch = {"SOURCE_DATE_EPOCH": str(revision.seconds), "BUILDX_NO_DEFAULT_ATTESTATIONS": "1"}
    name = f"{NAME}:{flavor}"
    command = build_command(dockerfile, name, labels(flavor, revision), revision, root)
    if subprocess.run(command, stdout=sys.stderr, env={**os.environ, **epoch}, check=False).returncode != 0:
        raise JobError(f"{name}: the build failed; Docker says above why")
    identity = docker("image", "inspect", "--format", "{{.Id}}", name)
    image = Image(flavor, tag_of(flavor, revision, identity), identity)
    docker("tag", name, image.local)
    return image


def build_command(dockerfile: Path, name: str, labels: Mapping[str, str], revision: Revision, root: Path) -> List[str]:
    """Return the command that builds: of the same revision the same image, as far as Docker and Debian allow."""
    described = [word for key, value in labels.items() for word in ("--label", f"{key}={value}")]
    return [
        *("docker", "buildx", "build", "--load", "--platform", PLATFORM),
        *("--build-arg", f"SOURCE_DATE_EPOCH={revision.seconds}"),
        *("--file", str(dockerfile), "--tag", name, *described, str(root)),
    ]


def labels(flavor: str, revision: Revision) -> Dict[str, str]:
    """Return the image's labels, by the names of the Open Container Initiative; their time is the commit's."""
    dirty = "-dirty" if revision.dirty else ""
    created = datetime.fromtimestamp(revision.seconds, timezone.utc)
    return {
        "org.opencontainers.image.title": f"{NAME} ({flavor})",
        "org.opencontainers.image.description": "Trains and serves Ray RLlib 0.8.5 policies on Amazon SageMaker",
        "org.opencontainers.image.licenses": "Apache-2.0",
        "org.opencontainers.image.revision": f"{revision.commit}{dirty}",
        "org.opencontainers.image.version": f"{revision.short}{dirty}",
        "org.opencontainers.image.created": f"{created:%Y-%m-%dT%H:%M:%SZ}",
    }


def tag_of(flavor: str, revision: Revision, identity: str) -> str:
    """Return the tag that stands for this image alone."""
    dirty = f"-dirty-{identity.partition(':')[2][:12]}" if revision.dirty else ""
    return f"{flavor}-{revision.short}{dirty}"


def revision_of(root: Path) -> Revision:
    """Ask git what the working tree is; raises UserError where it has no answer."""
    try:
        commit, seconds = git(root, "log", "-1", "--format=%H %ct").split()
        return Revision(commit, int(seconds), bool(git(root, "status", "--porcelain")))
    except FileNotFoundError:
        reason = "there is no `git` command"
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        said = (getattr(error, "stderr", "") or str(error)).splitlines()
        reason = next((line for line in said if line.startswith("fatal: ")), said[0])
        command = next((f"; `{line.strip()}` has it answer" for line in said if "safe.directory" in line), "")
        reason = f"git says: {reason}{command}"
    raise UserError(f"{root}: the image is tagged with the git revision, and {reason}")


def git(root: Path, *words: str) -> str:
    """Return what a git command prints. Raises CalledProcessError."""
    return subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, check=True).stdout.strip()


def docker(*words: str) -> str:
    """Return what a docker command prints; raises JobError with what it says where it fails."""
    done = subprocess.run(["docker", *words], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise JobError(f"docker {' '.join(words[:2])}: {' '.join(done.stderr.split())}")
    return done.stdout.strip()
