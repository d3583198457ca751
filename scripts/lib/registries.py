"""Images pushed to a registry, again and again where it is away, by a login that leaves nothing behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional

from rl_app.errors import JobError, UserError
from scripts.lib import cli, pushed_images
from scripts.lib.images import Image, docker

ATTEMPTS = 4
# What a registry says that no second attempt changes.
FINAL = ("denied", "unauthorized", "no basic auth", "immutable", "already exists", "not exist", "invalid reference")


@dataclass(frozen=True)
class Login:
    """What a registry lets in. The password is shown nowhere."""

    registry: str  # host, and port where it has one
    user: str
    password: str

    def __repr__(self) -> str:
        return f"Login({self.registry!r}, {self.user!r})"


def push(
    image: Image,
    uri: str,
    login: Optional[Callable[[], Login]] = None,
    pause: Callable[[float], None] = time.sleep,
) -> Dict[str, str]:
    """Push to ``uri``, a registry and a repository of it; without ``login`` as the user has logged in.

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
            return pushed_images.record(image, uri, digest_here(uri, name))
        if any(word in reason.lower() for word in FINAL):
            raise UserError(f"{name}: the registry refuses: {reason}")
        if attempt < ATTEMPTS:
            cli.note(f"{reason}; again in {2**attempt} s")
            pause(2**attempt)
    raise JobError(f"{name}: not pushed in {ATTEMPTS} attempts: {reason}")


def attempt_push(name: str, login: Optional[Callable[[], Login]]) -> Optional[str]:
    """Push once, with Docker's progress by layer on standard error; return why not, None where it is there."""
    if login is None:
        return run_push(name, dict(os.environ))
    with logged_in(login()) as (environ, refused):
        return refused or run_push(name, environ)


def run_push(name: str, environ: Mapping[str, str]) -> Optional[str]:
    """Run `docker push`; return the reason why it failed, None where it did not."""
    screen = sys.stderr.fileno() if has_descriptor(sys.stderr) else None
    command = ["docker", "push", name]
    done = subprocess.run(command, stdout=screen, stderr=subprocess.PIPE, text=True, env=environ, check=False)
    return None if done.returncode == 0 else " ".join(done.stderr.split()) or f"status {done.returncode}"


def has_descriptor(stream: Any) -> bool:
    """Tell whether a stream is one of the system's."""
    try:
        return bool(stream.fileno() >= 0)
    except (AttributeError, OSError):
        return False


@contextmanager
def logged_in(login: Login) -> Iterator[Any]:
    """Yield an environment in which Docker is logged in, and why it is not, if so; nothing of it stays.

    The password goes in by standard input, to settings of their own, which would not know of a user's context.
    """
    engine = os.environ.get("DOCKER_HOST") or docker("context", "inspect", "--format", "{{.Endpoints.docker.Host}}")
    with tempfile.TemporaryDirectory(prefix="docker-") as folder:
        environ = {**os.environ, "DOCKER_CONFIG": folder, "DOCKER_HOST": engine}
        environ.pop("DOCKER_CONTEXT", None)
        command = ["docker", "login", "--username", login.user, "--password-stdin", login.registry]
        done = subprocess.run(command, input=login.password, capture_output=True, text=True, env=environ, check=False)
        said = " ".join(line for line in done.stderr.split("\n") if not line.startswith("WARNING"))
        yield environ, None if done.returncode == 0 else " ".join(said.split()).replace(login.password, "…")


def digest_here(uri: str, name: str) -> str:
    """Return the digest under which an image that was pushed is known to its repository."""
    known: List[str] = json.loads(docker("image", "inspect", "--format", "{{json .RepoDigests}}", name))
    found = [digest for repository, _, digest in (entry.partition("@") for entry in known) if repository == uri]
    if not found:
        raise JobError(f"{name}: pushed, and Docker does not say under which digest")
    return found[-1]
