"""`scripts/push`: the image in a registry, and its digest where `scripts/launch` finds it."""

from __future__ import annotations

import argparse
import base64
import json
import re
import time
from typing import Any, Callable, Dict, List, Optional, Sequence

from rl_app.errors import UserError
from scripts.lib import aws, cli, debian, images, pushed_images, registries
from scripts.lib.cli import note
from scripts.lib.images import FLAVORS, NAME, Image
from scripts.lib.registries import Login

KEPT = 20

EXAMPLES = """
examples:
  scripts/push                                  the CPU image, built first, to ECR in your region
  scripts/push --debian "xvfb libgl1"           with packages of Debian's, as scripts/build takes them
  scripts/push gpu --keep 5                     the repository keeps the last 5 images of each kind
  scripts/push --registry registry.local:5000   to any other registry, after `docker login registry.local:5000`

In ECR the repository is made where it is missing: tags that cannot be moved, a scan of each push, and a rule that
removes the oldest images. The image's name with its digest goes to standard output; scripts/launch runs the last one
that was pushed to ECR.
Exit status: 0 pushed, 1 failed, 2 refused.
"""


@cli.command
def main(arguments: Sequence[str], open_session: Callable[[], Any] = aws.session) -> int:
    """Build and push one image; return the exit status."""
    options = parse(arguments)
    check(options)
    packages = debian.wanted(options.debian)
    images.check_engine()
    session = None if options.registry else open_session()
    if session:
        aws.region_of(session)
    image = images.build(options.flavor, packages=packages)
    if session:
        pushed = push_to_ecr(image, aws.client(session, "ecr"), options.repository, options.keep)
    else:
        pushed = registries.push(image, f"{options.registry}/{options.repository}")
    pushed_images.remember(pushed, pushed_images.REMEMBERED)
    if session:  # SageMaker's instances pull from ECR
        instance = "ml.g4dn.xlarge" if image.flavor == "gpu" else "ml.c5.xlarge"
        note(f"next: scripts/launch train --instance-type {instance}")
    print(pushed["uri"])
    return 0


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = cli.parser("push", "Push the image to a registry, ECR by default; jobs run it by its digest.", EXAMPLES)
    parser.add_argument("flavor", nargs="?", choices=FLAVORS, default="cpu", help="default: cpu")
    debian.declare(parser)
    parser.add_argument("--repository", metavar="NAME", default=NAME, help=f"default: {NAME}")
    parser.add_argument("--registry", metavar="HOST[:PORT]", help="another registry than ECR")
    parser.add_argument("--keep", metavar="N", type=int, default=KEPT, help=f"images that ECR keeps; default: {KEPT}")
    options = parser.parse_args(list(arguments))
    if options.keep < 1:
        parser.error(f"--keep {options.keep}: at least 1")
    return options


def check(options: argparse.Namespace) -> None:
    """Refuse what is no registry and no repository; raises UserError."""
    if options.registry and not re.fullmatch(r"[a-zA-Z0-9.-]+(:[0-9]+)?", options.registry):
        raise UserError(f"--registry {options.registry}: expected HOST or HOST:PORT")
    if not re.fullmatch("[a-z0-9]+([._/-]+[a-z0-9]+)*", options.repository):
        raise UserError(f"--repository {options.repository}: lower-case letters, digits, and . _ - / between them")


def push_to_ecr(
    image: Image, ecr: Any, repository: str, keep: int, pause: Callable[[float], None] = time.sleep
) -> Dict[str, str]:
    """Make the repository where it is missing, and push; return what :func:`registries.push` does.

    Raises:
        UserError, JobError: with what was made before.
    """
    made: List[str] = []
    with aws.translate_errors(f"repository {repository}"):
        uri = have_repository(ecr, repository, made)
    with aws.translate_errors(f"repository {repository}", made):
        ecr.put_lifecycle_policy(repositoryName=repository, lifecyclePolicyText=json.dumps(lifecycle(keep)))
        there = digest_of(ecr, repository, image.tag)
    if there:
        note(f"{uri}:{image.tag} is there already")
        return pushed_images.record(image, uri, there)
    return registries.push(image, uri, lambda: ecr_login(ecr, uri), pause)


def repository_request(name: str) -> Dict[str, Any]:
    """Write CreateRepository: tags stay what they are, and each push is scanned."""
    return {
        "repositoryName": name,
        "imageTagMutability": "IMMUTABLE",
        "imageScanningConfiguration": {"scanOnPush": True},
        "tags": [{"Key": "project", "Value": NAME}],
    }


def lifecycle(keep: int) -> Dict[str, Any]:
    """Write the policy that keeps the newest ``keep`` images of each flavor."""
    return {
        "rules": [
            {
                "rulePriority": number,
                "description": f"the last {keep} {flavor} images",
                "selection": {
                    "tagStatus": "tagged",
                    "tagPrefixList": [f"{flavor}-"],
                    "countType": "imageCountMoreThan",
                    "countNumber": keep,
                },
                "action": {"type": "expire"},
            }
            for number, flavor in enumerate(FLAVORS, start=1)
        ]
    }


def have_repository(ecr: Any, name: str, made: List[str]) -> str:
    """Return the repository's URI; one that is missing is made, and noted in ``made``."""
    try:
        found = ecr.describe_repositories(repositoryNames=[name])["repositories"][0]
    except ecr.exceptions.RepositoryNotFoundException:
        found = ecr.create_repository(**repository_request(name))["repository"]
        made.append(f"repository {name}")
        note(f"made the repository {found['repositoryUri']}")
    return str(found["repositoryUri"])


def digest_of(ecr: Any, repository: str, tag: str) -> Optional[str]:
    """Return the digest that the repository has under a tag, if it has."""
    try:
        asked = ecr.describe_images(repositoryName=repository, imageIds=[{"imageTag": tag}])
    except ecr.exceptions.ImageNotFoundException:
        return None
    return str(asked["imageDetails"][0]["imageDigest"])


def ecr_login(ecr: Any, uri: str) -> Login:
    """Ask for what ECR lets in for the next twelve hours."""
    with aws.translate_errors("logging in to ECR"):
        given = ecr.get_authorization_token()["authorizationData"][0]
    user, _, password = base64.b64decode(given["authorizationToken"]).decode().partition(":")
    return Login(uri.partition("/")[0], user, password)
