"""`scripts/build`: the image, tagged with what it was built from, and its bill of materials."""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import uuid
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Dict, List, Mapping, Sequence, Tuple

from rl_app.errors import JobError, UserError
from scripts import engine
from scripts.environments import ROOT

FLAVORS = ("cpu", "gpu")
NAME = "sagemaker-rllib"
PLATFORM = "linux/amd64"

EXAMPLES = """
examples:
  scripts/build            the CPU image: sagemaker-rllib:cpu, and :cpu-REVISION
  scripts/build gpu        the GPU image, from Dockerfile.gpu

REVISION is git's, of 12 digits. Where the tree holds what is not committed it is REVISION-dirty-ID, with the first
12 digits of the image's own id, so that one tag never stands for two images. The bill of materials (CycloneDX) is
left in build/. The tag goes to standard output.
Exit status: 0 built, 1 the build failed, 2 refused.
"""


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


def main(arguments: Sequence[str]) -> int:
    """Builds, tags and describes one image; returns the exit status."""
    options = parse(arguments)
    try:
        check_engine()
        image = build(options.flavor)
        written = write_sbom(image, ROOT / "build")
    except (UserError, JobError) as error:
        print(error, file=sys.stderr)
        return error.errno
    except KeyboardInterrupt:
        return 130
    print(f"{image.id}\n{written}\nnext: scripts/push {image.flavor}", file=sys.stderr)
    print(image.local)
    return 0


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="scripts/build",
        description="Build the image for SageMaker, tagged with the git revision.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("flavor", nargs="?", choices=FLAVORS, default="cpu", help="default: cpu")
    return parser.parse_args(list(arguments))


def check_engine() -> None:
    """Raises UserError where no Docker engine answers."""
    reason = engine.why_not()
    if reason:
        raise UserError(f"no Docker engine: {reason}")


def build(flavor: str, root: Path = ROOT) -> Image:
    """Builds the image from the tree as it is.

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
    """The command that builds: of the same revision the same image, as far as Docker and Debian allow."""
    described = [word for key, value in labels.items() for word in ("--label", f"{key}={value}")]
    return [
        *("docker", "buildx", "build", "--load", "--platform", PLATFORM),
        *("--build-arg", f"SOURCE_DATE_EPOCH={revision.seconds}"),
        *("--file", str(dockerfile), "--tag", name, *described, str(root)),
    ]


def labels(flavor: str, revision: Revision) -> Dict[str, str]:
    """The image's labels, by the names of the Open Container Initiative; their time is the commit's."""
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
    """The tag that stands for this image alone."""
    dirty = f"-dirty-{identity.partition(':')[2][:12]}" if revision.dirty else ""
    return f"{flavor}-{revision.short}{dirty}"


def revision_of(root: Path) -> Revision:
    """What the working tree is; raises UserError where git has no answer."""
    try:
        commit, seconds = git(root, "log", "-1", "--format=%H %ct").split()
        return Revision(commit, int(seconds), bool(git(root, "status", "--porcelain")))
    except (OSError, ValueError, subprocess.CalledProcessError):
        raise UserError(f"{root}: the image is tagged with the git revision, and git knows none here") from None


def git(root: Path, *words: str) -> str:
    """What a git command prints. Raises CalledProcessError."""
    return subprocess.run(
        ["git", "-C", str(root), *words], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True
    ).stdout.strip()


def docker(*words: str) -> str:
    """What a docker command prints; raises JobError with what it says where it fails."""
    done = subprocess.run(["docker", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise JobError(f"docker {' '.join(words[:2])}: {' '.join(done.stderr.split())}")
    return done.stdout.strip()


# ---- the bill of materials ----


def write_sbom(image: Image, folder: Path, root: Path = ROOT) -> Path:
    """Writes what the image holds beside the other things that builds leave; returns the file."""
    listed = docker(
        *("run", "--rm", "--network", "none", "--entrypoint", "dpkg-query", image.id),
        *("--show", "--showformat", "${Package} ${Version} ${Architecture}\\n"),
    )
    debian = [(name, version, arch) for name, version, arch in (line.split() for line in listed.splitlines())]
    lock = (root / "docker" / "requirements" / f"image-{image.flavor}.txt").read_text(encoding="utf-8")
    folder.mkdir(exist_ok=True)
    file = folder / f"{image.tag}.cdx.json"
    beside = folder / f".tmp-{file.name}"
    beside.write_text(json.dumps(sbom(image, lock, debian), indent=2) + "\n", encoding="utf-8")
    os.replace(beside, file)
    return file


def sbom(image: Image, lock: str, debian: Sequence[Tuple[str, str, str]]) -> Dict[str, Any]:
    """CycloneDX 1.5: the packages of the lock and Debian's (name, version, architecture).

    It has no time of its own and a number made from the image's: the same image has the same bill.
    """
    whole = {
        "type": "container",
        "bom-ref": f"{NAME}@{image.id}",
        "name": NAME,
        "version": image.tag,
        "hashes": [{"alg": "SHA-256", "content": image.id.partition(":")[2]}],
    }
    parts = [*map(_debian, sorted(debian)), *(_python(name, version) for name, version in locked(lock))]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, image.id)}",
        "version": 1,
        "metadata": {"component": whole},
        "components": parts,
        "dependencies": [{"ref": whole["bom-ref"], "dependsOn": [part["bom-ref"] for part in parts]}],
    }


def locked(lock: str) -> List[Tuple[str, str]]:
    """The packages of a lock and their versions."""
    return re.findall(r"^([a-z0-9][a-z0-9._-]*)==(\S+)", lock, re.MULTILINE)


def _python(name: str, version: str) -> Dict[str, str]:
    purl = f"pkg:pypi/{name}@{version}"
    return {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}


def _debian(package: Tuple[str, str, str]) -> Dict[str, str]:
    name, version, architecture = package
    purl = f"pkg:deb/debian/{_quoted(name)}@{_quoted(version)}?arch={architecture}"
    return {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}


def _quoted(text: str) -> str:
    return text.replace("+", "%2B").replace(":", "%3A")
