"""`scripts/push`: the image in a registry, and its digest where `scripts/launch` finds it."""

from __future__ import annotations

import argparse
import base64
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Sequence

from rl_app.errors import JobError, UserError
from scripts import aws, building
from scripts.building import FLAVORS, NAME, Image, docker
from scripts.environments import ROOT, SetUpError

ATTEMPTS = 4
KEPT = 20
REMEMBERED = ROOT / "build" / "pushed.json"
# What a registry says that no second attempt changes.
FINAL = ("denied", "unauthorized", "no basic auth", "immutable", "already exists", "not exist", "invalid reference")

EXAMPLES = """
examples:
  scripts/push                                  the CPU image, built first, to ECR in your region
  scripts/push gpu --keep 5                     the repository keeps the last 5 images of each kind
  scripts/push --registry registry.local:5000   to any other registry, after `docker login registry.local:5000`

In ECR the repository is made where it is missing: tags that cannot be moved, a scan of each push, and a rule that
removes the oldest images. The image's name with its digest goes to standard output, and is what scripts/launch runs.
Exit status: 0 pushed, 1 failed, 2 refused.
"""


@dataclass(frozen=True)
class Login:
    """What a registry lets in. The password is shown nowhere."""

    registry: str  # host, and port where it has one
    user: str
    password: str

    def __repr__(self) -> str:
        return f"Login({self.registry!r}, {self.user!r})"


def main(arguments: Sequence[str], open_session: Callable[[], Any] = aws.session) -> int:
    """Builds and pushes one image; returns the exit status."""
    options = parse(arguments)
    try:
        check(options)
        building.check_engine()
        session = None if options.registry else open_session()
        if session:
            aws.region_of(session)
        image = building.build(options.flavor)
        if session:
            pushed = push_to_ecr(image, aws.client(session, "ecr"), options.repository, options.keep)
        else:
            pushed = push(image, f"{options.registry}/{options.repository}")
        remember(pushed, REMEMBERED)
    except (UserError, JobError, SetUpError) as error:
        print(error, file=sys.stderr)
        return error.errno
    except KeyboardInterrupt:
        return 130
    aws.note(
        f"next: scripts/launch train --instance-type {'ml.g4dn.xlarge' if image.flavor == 'gpu' else 'ml.c5.xlarge'}"
    )
    print(pushed["uri"])
    return 0


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="scripts/push",
        description="Push the image to a registry, ECR by default; jobs run it by its digest.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("flavor", nargs="?", choices=FLAVORS, default="cpu", help="default: cpu")
    parser.add_argument("--repository", metavar="NAME", default=NAME, help=f"default: {NAME}")
    parser.add_argument("--registry", metavar="HOST[:PORT]", help="another registry than ECR")
    parser.add_argument("--keep", metavar="N", type=int, default=KEPT, help=f"images that ECR keeps; default: {KEPT}")
    options = parser.parse_args(list(arguments))
    if options.keep < 1:
        parser.error(f"--keep {options.keep}: at least 1")
    return options


def check(options: argparse.Namespace) -> None:
    """Refuses what is no registry and no repository; raises UserError."""
    if options.registry and not re.fullmatch(r"[a-zA-Z0-9.-]+(:[0-9]+)?", options.registry):
        raise UserError(f"--registry {options.registry}: expected HOST or HOST:PORT")
    if not re.fullmatch("[a-z0-9]+([._/-]+[a-z0-9]+)*", options.repository):
        raise UserError(f"--repository {options.repository}: lower-case letters, digits, and . _ - / between them")


def push_to_ecr(
    image: Image, ecr: Any, repository: str, keep: int, pause: Callable[[float], None] = time.sleep
) -> Dict[str, str]:
    """Makes the repository where it is missing, and pushes; returns what :func:`push` does.

    Raises:
        UserError, JobError: with what was made before.
    """
    made: List[str] = []
    with aws.told(f"repository {repository}"):
        uri = have_repository(ecr, repository, made)
    with aws.told(f"repository {repository}", made):
        ecr.put_lifecycle_policy(repositoryName=repository, lifecyclePolicyText=json.dumps(lifecycle(keep)))
        there = digest_of(ecr, repository, image.tag)
    if there:
        aws.note(f"{uri}:{image.tag} is there already")
        return record(image, uri, there)
    return push(image, uri, lambda: ecr_login(ecr, uri), pause)


def repository_request(name: str) -> Dict[str, Any]:
    """CreateRepository: tags stay what they are, and each push is scanned."""
    return {
        "repositoryName": name,
        "imageTagMutability": "IMMUTABLE",
        "imageScanningConfiguration": {"scanOnPush": True},
        "tags": [{"Key": "project", "Value": NAME}],
    }


def lifecycle(keep: int) -> Dict[str, Any]:
    """The policy that keeps the newest ``keep`` images of each flavor."""
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
    """The repository's URI, which is made where it is missing and then noted in ``made``."""
    try:
        found = ecr.describe_repositories(repositoryNames=[name])["repositories"][0]
    except ecr.exceptions.RepositoryNotFoundException:
        found = ecr.create_repository(**repository_request(name))["repository"]
        made.append(f"repository {name}")
        aws.note(f"made the repository {found['repositoryUri']}")
    return str(found["repositoryUri"])


def digest_of(ecr: Any, repository: str, tag: str) -> Optional[str]:
    """The digest that the repository has under a tag, if it has."""
    try:
        asked = ecr.describe_images(repositoryName=repository, imageIds=[{"imageTag": tag}])
    except ecr.exceptions.ImageNotFoundException:
        return None
    return str(asked["imageDetails"][0]["imageDigest"])


def ecr_login(ecr: Any, uri: str) -> Login:
    """What ECR lets in for the next twelve hours."""
    with aws.told("logging in to ECR"):
        given = ecr.get_authorization_token()["authorizationData"][0]
    user, _, password = base64.b64decode(given["authorizationToken"]).decode().partition(":")
    return Login(uri.partition("/")[0], user, password)


def push(
    image: Image,
    uri: str,
    login: Optional[Callable[[], Login]] = None,
    pause: Callable[[float], None] = time.sleep,
) -> Dict[str, str]:
    """Pushes to ``uri``, a registry and a repository of it; without ``login`` as the user has logged in.

    Returns:
        registry, repository, flavor, tag, digest, and the URI by digest.

    Raises:
        UserError: the registry refuses.
        JobError: it cannot be reached, or fails, after several attempts.
    """
    name = f"{uri}:{image.tag}"
    docker("tag", image.local, name)
    for attempt in range(1, ATTEMPTS + 1):
        reason = attempt_push(name, login)
        if reason is None:
            return record(image, uri, digest_here(uri, name))
        if any(word in reason.lower() for word in FINAL):
            raise UserError(f"{name}: the registry refuses: {reason}")
        if attempt < ATTEMPTS:
            aws.note(f"{reason}; again in {2**attempt} s")
            pause(2**attempt)
    raise JobError(f"{name}: not pushed in {ATTEMPTS} attempts: {reason}")


def attempt_push(name: str, login: Optional[Callable[[], Login]]) -> Optional[str]:
    """Pushes once, with Docker's progress by layer on standard error; the reason why not, None where it is there."""
    if login is None:
        return run_push(name, dict(os.environ))
    asked = login()
    with logged_in(asked) as (environ, refused):
        return refused or run_push(name, environ)


def run_push(name: str, environ: Mapping[str, str]) -> Optional[str]:
    """The reason why `docker push` failed; None where it did not."""
    done = subprocess.run(
        ["docker", "push", name],
        stdout=sys.stderr.fileno() if has_descriptor(sys.stderr) else None,
        stderr=subprocess.PIPE,
        text=True,
        env=environ,
        check=False,
    )
    return None if done.returncode == 0 else " ".join(done.stderr.split()) or f"status {done.returncode}"


def has_descriptor(stream: Any) -> bool:
    """Whether a stream is one of the system's."""
    try:
        return bool(stream.fileno() >= 0)
    except (AttributeError, OSError):
        return False


@contextmanager
def logged_in(login: Login) -> Iterator[Any]:
    """An environment in which Docker is logged in, and why it is not, if so; nothing of it stays.

    The password goes in by standard input, to settings of their own, which would not know of a user's context.
    """
    engine = os.environ.get("DOCKER_HOST") or docker("context", "inspect", "--format", "{{.Endpoints.docker.Host}}")
    with tempfile.TemporaryDirectory(prefix="docker-") as folder:
        environ = {**os.environ, "DOCKER_CONFIG": folder, "DOCKER_HOST": engine}
        environ.pop("DOCKER_CONTEXT", None)
        done = subprocess.run(
            ["docker", "login", "--username", login.user, "--password-stdin", login.registry],
            input=login.password,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environ,
            check=False,
        )
        said = " ".join(line for line in done.stderr.split("\n") if not line.startswith("WARNING"))
        yield environ, None if done.returncode == 0 else " ".join(said.split()).replace(login.password, "…")


def digest_here(uri: str, name: str) -> str:
    """The digest under which an image that was pushed is known to its repository."""
    known: List[str] = json.loads(docker("image", "inspect", "--format", "{{json .RepoDigests}}", name))
    found = [digest for repository, _, digest in (entry.partition("@") for entry in known) if repository == uri]
    if not found:
        raise JobError(f"{name}: pushed, and Docker does not say under which digest")
    return found[-1]


# ---- what was pushed ----


def record(image: Image, uri: str, digest: str) -> Dict[str, str]:
    """What is remembered of a push."""
    registry, _, repository = uri.partition("/")
    return {
        "registry": registry,
        "repository": repository,
        "flavor": image.flavor,
        "tag": image.tag,
        "digest": digest,
        "uri": f"{uri}@{digest}",
    }


def remember(pushed: Mapping[str, str], file: Path) -> None:
    """Puts a push in the place of the last one to the same registry, repository and flavor."""
    same = ("registry", "repository", "flavor")
    others = [known for known in remembered(file) if any(known[key] != pushed[key] for key in same)]
    file.parent.mkdir(exist_ok=True)
    beside = file.with_name(f".tmp-{file.name}")
    beside.write_text(json.dumps([*others, pushed], indent=2) + "\n", encoding="utf-8")
    os.replace(beside, file)


def remembered(file: Path) -> List[Dict[str, str]]:
    """What was pushed, the latest last."""
    try:
        known: List[Dict[str, str]] = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    return known
