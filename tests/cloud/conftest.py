"""The stand-ins for AWS: moto's server, Debian's docker-registry, a small image to push; and the SageMaker SDK."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Sequence, Tuple

import boto3
import pytest

from scripts.lib import engine, environments
from scripts.lib.images import Image
from scripts.lib.locked_uv import uv_folder
from scripts.lib.set_up_steps import lock_file
from tests.cloud.stub import Cloud, Stub
from tests.waiting import until

REGION = "eu-central-1"
ACCOUNT = "123456789012"  # moto's
KEYS = {
    "AWS_ACCESS_KEY_ID": "access-of-the-tests",
    "AWS_SECRET_ACCESS_KEY": "secret-of-the-tests",
    "AWS_DEFAULT_REGION": REGION,
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--live", action="store_true", help="ask AWS itself too, with your credentials, for some cents")


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def docker(*words: str) -> str:
    done = subprocess.run(["docker", *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300)
    assert done.returncode == 0, done.stdout
    return done.stdout.strip()


def answers(url: str) -> bool:
    """Whether a server is there; that it asks for a password is an answer."""
    try:
        urllib.request.urlopen(url, timeout=2)
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


@pytest.fixture(scope="session")
def moto() -> Iterator[str]:
    """The address of a moto server; what is made in it stays until :func:`aws` resets it."""
    pytest.importorskip("moto", reason="moto is not installed: scripts/test installs it")
    url = f"http://127.0.0.1:{free_port()}"
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", url.rpartition(":")[2]],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "MOTO_IAM_LOAD_MANAGED_POLICIES": "false"},
    )
    try:
        until(lambda: answers(f"{url}/moto-api/"), 60)
        yield url
    finally:
        server.terminate()
        server.wait(30)


@pytest.fixture
def aws(moto: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A boto3 session of an empty account; the environment that it reads is set for programs started too."""
    return account(moto, monkeypatch, AWS_ENDPOINT_URL=moto)


def account(moto: str, monkeypatch: pytest.MonkeyPatch, **endpoints: str) -> Any:
    """Empties moto's account; returns a session of it that asks these endpoints."""
    reset = urllib.request.Request(f"{moto}/moto-api/reset", method="POST")
    urllib.request.urlopen(reset, timeout=10)
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in {**KEYS, **endpoints}.items():
        monkeypatch.setenv(name, value)
    return boto3.session.Session()


def put_image(aws: Any, flavor: str = "cpu") -> str:
    """Puts an image into moto's ECR, which keeps no layers; returns its digest."""
    ecr = aws.client("ecr")
    if not ecr.describe_repositories()["repositories"]:
        ecr.create_repository(repositoryName="sagemaker-rllib")
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
        "config": {"digest": flavor},
        "layers": [],
    }
    put = ecr.put_image(repositoryName="sagemaker-rllib", imageManifest=json.dumps(manifest), imageTag=f"{flavor}-1")
    return str(put["image"]["imageId"]["imageDigest"])


class Registry(NamedTuple):
    host: str
    user: str
    password: str
    folder: Path


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """Debian's docker-registry on loopback, which lets in the user AWS as ECR does."""
    for program, package in (("docker-registry", "docker-registry"), ("htpasswd", "apache2-utils")):
        if not shutil.which(program):
            pytest.skip(f"there is no {program}: apt-get install {package}")
    folder = tmp_path_factory.mktemp("registry")
    made = Registry(f"127.0.0.1:{free_port()}", "AWS", "token-of-the-tests-7f3a", folder)
    entry = subprocess.run(
        ["htpasswd", "-Bbn", made.user, made.password], stdout=subprocess.PIPE, text=True, check=True
    )
    (folder / "htpasswd").write_text(entry.stdout)
    (folder / "config.yml").write_text(
        f"""
version: 0.1
storage: {{filesystem: {{rootdirectory: {folder}/data}}}}
http: {{addr: "{made.host}"}}
auth: {{htpasswd: {{realm: tests, path: {folder}/htpasswd}}}}
"""
    )
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(
            ["docker-registry", "serve", str(folder / "config.yml")], stdout=log, stderr=subprocess.STDOUT
        )
    try:
        until(lambda: answers(f"http://{made.host}/v2/"), 30)
        yield made
    finally:
        server.terminate()
        server.wait(30)


@pytest.fixture(scope="session")
def small_image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    """An image that takes no time to push, under the name of a build."""
    reason = engine.why_not()
    if reason:
        pytest.skip(f"no Docker engine: {reason}")
    image = Image("cpu", "cpu-0123456789ab-of-the-tests", "sha256:0")
    folder = tmp_path_factory.mktemp("image")
    (folder / "Dockerfile").write_text("FROM scratch\nCOPY file /\n")
    (folder / "file").write_text(str(folder))
    docker("build", "--quiet", "--tag", image.local, str(folder))
    identity = docker("image", "inspect", "--format", "{{.Id}}", image.local)
    yield Image(image.flavor, image.tag, identity)
    docker("rmi", "--force", identity)  # with every name that a push gave it


@pytest.fixture
def docker_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's settings of Docker, which are empty: what a login leaves behind would be found there."""
    folder = tmp_path / "docker"
    folder.mkdir()
    monkeypatch.setenv("DOCKER_CONFIG", str(folder))
    return folder


@pytest.fixture(scope="session")
def sdk_python() -> str:
    """A Python 3.11 with version 2 of the SDK."""
    return python_of("sdk")


@pytest.fixture(scope="session")
def sdk3_python() -> str:
    """A Python 3.11 with version 3 of the SDK."""
    return python_of("sdk3")


def python_of(name: str) -> str:
    """A Python 3.11 with a lock, in .tools, made where it is not there or not from this lock."""
    reason = engine.why_not()
    if reason:
        pytest.skip(f"no Docker engine: {reason}")
    lock = lock_file(environments.ROOT, name)
    folder = environments.ROOT / ".tools" / f"{name}-{hashlib.sha256(lock.read_bytes()).hexdigest()[:12]}"
    python = folder / "bin" / "python"
    if not (folder / "complete").exists():
        uv = str(uv_folder(environments.ROOT) / "bin" / "uv")
        run([uv, "venv", "--quiet", "--clear", "--python", "3.11", str(folder)])
        run(
            [uv, "pip", "sync", "--quiet", "--require-hashes", "--compile-bytecode", "--python", str(python), str(lock)]
        )
        (folder / "complete").touch()
    return str(python)


def run(command: Any, environ: Any = None) -> str:
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=500, env=environ or os.environ
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture
def pauses() -> Dict[str, Any]:
    """Records the waits between attempts, and does not wait."""
    waited: list = []
    return {"waited": waited, "pause": waited.append}


@pytest.fixture
def cloud(moto: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Tuple[Cloud, Stub, Any]]]:
    """Starts a stub with the answers of a :class:`Cloud`; returns both, and a session that asks them.

    S3 is moto's; the bucket of the stub's job is there.
    """
    with ExitStack() as stack:

        def start(states: Sequence[Dict[str, Any]] = (), lines: Sequence[List[str]] = ()) -> Tuple[Cloud, Stub, Any]:
            made = Cloud(list(states), list(lines))
            stub = stack.enter_context(Stub(made.answers))
            session = account(moto, monkeypatch, AWS_ENDPOINT_URL=stub.url, AWS_ENDPOINT_URL_S3=moto)
            session.client("s3").create_bucket(
                Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": REGION}
            )
            return made, stub, session

        yield start
