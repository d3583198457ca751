"""`scripts/build`: the image, tagged with what it was built from, and its bill of materials."""

from __future__ import annotations

import argparse
import json
import re
import uuid
from pathlib import Path
from typing import Any, Dict, List, Sequence, Tuple

from rl_app.files import write_text
from scripts.lib import cli, debian, images
from scripts.lib.environments import ROOT
from scripts.lib.images import FLAVORS, NAME, Image, docker

EXAMPLES = """
examples:
  scripts/build                                        the CPU image: sagemaker-rllib:cpu, and :cpu-REVISION
  scripts/build gpu                                    the GPU image, from Dockerfile.gpu
  scripts/build --debian "xvfb libgl1 libglu1-mesa"    with packages of Debian's: :cpu-debian, :cpu-REVISION-debian-ID

REVISION is git's, of 12 digits. Where the tree holds what is not committed it is REVISION-dirty-ID, with the first
12 digits of the image's own id, so that one tag never stands for two images. The bill of materials (CycloneDX) is
left in build/. The tag goes to standard output. An image with packages of Debian's never takes the plain one's names:
the ID in its tag is made from theirs, and its label sagemaker-rllib.debian lists them.
Exit status: 0 built, 1 the build failed, 2 refused.
"""


@cli.command
def main(arguments: Sequence[str]) -> int:
    """Build, tag and describe one image; return the exit status."""
    options = parse(arguments)
    packages = debian.wanted(options.debian)
    images.check_engine()
    image = images.build(options.flavor, packages=packages)
    written = write_sbom(image, ROOT / "build")
    cli.note(f"{image.id}\n{written}\n{then(image.flavor, packages)}")
    print(image.local)
    return 0


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = cli.parser("build", "Build the image for SageMaker, tagged with the git revision.", EXAMPLES)
    parser.add_argument("flavor", nargs="?", choices=FLAVORS, default="cpu", help="default: cpu")
    debian.declare(parser)
    return parser.parse_args(list(arguments))


def then(flavor: str, packages: Sequence[str]) -> str:
    """Say what comes next, by the words that take the same image and not the plain one."""
    push = f"next: scripts/push {flavor}"
    if not packages:
        return push
    words = f'"{" ".join(packages)}"'
    return f"{push} --debian {words}\nor in Docker here: {debian.SETTING}={words} scripts/train"


# ---- the bill of materials ----


def write_sbom(image: Image, folder: Path, root: Path = ROOT) -> Path:
    """Write what the image holds beside the other things that builds leave; return the file."""
    listed = docker(
        *("run", "--rm", "--network", "none", "--entrypoint", "dpkg-query", image.id),
        *("--show", "--showformat", "${Package} ${Version} ${Architecture}\\n"),
    )
    debian = [(name, version, arch) for name, version, arch in (line.split() for line in listed.splitlines())]
    lock = (root / "docker" / "requirements" / f"image-{image.flavor}.txt").read_text(encoding="utf-8")
    folder.mkdir(exist_ok=True)
    file = folder / f"{image.tag}.cdx.json"
    write_text(file, json.dumps(sbom(image, lock, debian), indent=2) + "\n")
    return file


def sbom(image: Image, lock: str, debian: Sequence[Tuple[str, str, str]]) -> Dict[str, Any]:
    """Write CycloneDX 1.5: the packages of the lock and Debian's (name, version, architecture).

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
    """List the packages of a lock and their versions."""
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
