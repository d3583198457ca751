"""Pushing to a real registry: behind moto's ECR and a login of ECR's, and as a user has logged in."""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path
from typing import Any, Dict, List

import pytest

from rl_app.errors import JobError, UserError
from scripts.commands import push
from scripts.lib import images, pushed_images, registries
from scripts.lib.images import Image
from scripts.lib.registries import Login
from tests.cloud.conftest import Registry, docker


class Ecr:
    """moto's ECR, but that its repository and its login are the real registry's: moto keeps no images."""

    def __init__(self, client: Any, registry: Registry, password: str) -> None:
        self.client = client
        self.registry = registry
        self.password = password
        self.logins = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.client, name)

    def describe_repositories(self, **request: Any) -> Dict[str, Any]:
        found = self.client.describe_repositories(**request)
        found["repositories"][0]["repositoryUri"] = self.uri(found["repositories"][0])
        return found

    def create_repository(self, **request: Any) -> Dict[str, Any]:
        made = self.client.create_repository(**request)
        made["repository"]["repositoryUri"] = self.uri(made["repository"])
        return made

    def uri(self, repository: Dict[str, Any]) -> str:
        return f"{self.registry.host}/{repository['repositoryName']}"

    def get_authorization_token(self) -> Dict[str, Any]:
        self.logins += 1
        token = base64.b64encode(f"{self.registry.user}:{self.password}".encode()).decode()
        return {"authorizationData": [{"authorizationToken": token, "proxyEndpoint": f"https://{self.registry.host}"}]}


@pytest.fixture
def ecr(aws: Any, registry: Registry) -> Ecr:
    return Ecr(aws.client("ecr"), registry, registry.password)


def test_a_push_makes_the_repository_and_the_image_comes_back_by_its_digest(
    ecr: Ecr, registry: Registry, small_image: Image, docker_settings: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    pushed = push.push_to_ecr(small_image, ecr, "from-the-tests", keep=3)
    assert pushed["uri"] == f"{registry.host}/from-the-tests@{pushed['digest']}"
    made = ecr.client.describe_repositories(repositoryNames=["from-the-tests"])["repositories"][0]
    assert made["imageTagMutability"] == "IMMUTABLE"
    assert made["imageScanningConfiguration"] == {"scanOnPush": True}
    policy = ecr.client.get_lifecycle_policy(repositoryName="from-the-tests")["lifecyclePolicyText"]
    assert json.loads(policy) == push.lifecycle(3)

    docker("rmi", f"{registry.host}/from-the-tests:{small_image.tag}")
    docker("login", "--username", registry.user, "--password", registry.password, registry.host)
    docker("pull", "--quiet", pushed["uri"])
    assert docker("image", "inspect", "--format", "{{.Id}}", pushed["uri"]) == small_image.id
    said = "".join(capfd.readouterr())
    assert "Pushed" in said, "progress by layer"
    assert registry.password not in said


def test_the_login_leaves_nothing_behind(
    ecr: Ecr, registry: Registry, small_image: Image, docker_settings: Path
) -> None:
    push.push_to_ecr(small_image, ecr, "no-traces", keep=3)
    token = base64.b64encode(f"{registry.user}:{registry.password}".encode()).decode()
    kept = [file.read_text() for file in docker_settings.rglob("*") if file.is_file()]
    assert not any(registry.password in text or token in text for text in kept)


def test_the_token_is_on_no_command_line(
    ecr: Ecr, registry: Registry, small_image: Image, docker_settings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: List[List[str]] = []
    real = subprocess.run

    def watched(command: List[str], *words: Any, **more: Any) -> Any:
        commands.append(command)
        return real(command, *words, **more)

    monkeypatch.setattr(subprocess, "run", watched)
    push.push_to_ecr(small_image, ecr, "no-arguments", keep=3)
    assert any(command[:2] == ["docker", "login"] for command in commands)
    assert not any(registry.password in word for command in commands for word in command)


def test_a_wrong_token_is_refused_at_once_and_not_shown(
    aws: Any, registry: Registry, small_image: Image, docker_settings: Path, pauses: Dict[str, Any]
) -> None:
    ecr = Ecr(aws.client("ecr"), registry, "not-the-token-9c1e")
    with pytest.raises(UserError) as refused:
        push.push_to_ecr(small_image, ecr, "refused", keep=3, pause=pauses["pause"])
    assert "unauthorized" in str(refused.value).lower()
    assert "not-the-token-9c1e" not in str(refused.value) + repr(Login("host", "AWS", "not-the-token-9c1e"))
    assert "\n" not in str(refused.value)
    assert pauses["waited"] == []


def test_a_registry_that_is_away_is_tried_again_with_a_new_login_each_time(
    aws: Any, small_image: Image, docker_settings: Path, tmp_path: Path, pauses: Dict[str, Any]
) -> None:
    ecr = Ecr(aws.client("ecr"), Registry("127.0.0.1:9", "AWS", "x", tmp_path), "x")
    with pytest.raises(JobError, match=r"not pushed in 4 attempts.*connect"):
        push.push_to_ecr(small_image, ecr, "away", keep=3, pause=pauses["pause"])
    assert pauses["waited"] == [2, 4, 8]
    assert ecr.logins == 4


def test_what_is_in_ecr_already_is_not_pushed_again(
    ecr: Ecr, registry: Registry, small_image: Image, docker_settings: Path
) -> None:
    ecr.client.create_repository(repositoryName="again")
    manifest = {"schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v2+json", "layers": []}
    put = ecr.client.put_image(repositoryName="again", imageManifest=json.dumps(manifest), imageTag=small_image.tag)
    pushed = push.push_to_ecr(small_image, ecr, "again", keep=3)
    assert pushed["digest"] == put["image"]["imageId"]["imageDigest"]
    assert ecr.logins == 0


def test_another_registry_takes_the_users_own_login(
    registry: Registry, small_image: Image, docker_settings: Path
) -> None:
    with pytest.raises(UserError, match="no basic auth"):
        registries.push(small_image, f"{registry.host}/mine")
    docker("login", "--username", registry.user, "--password", registry.password, registry.host)
    pushed = registries.push(small_image, f"{registry.host}/mine")
    assert (pushed["registry"], pushed["repository"], pushed["flavor"]) == (registry.host, "mine", "cpu")


def test_the_script_pushes_to_a_host_and_port_and_prints_the_image_by_its_digest(
    registry: Registry,
    small_image: Image,
    docker_settings: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked = []
    monkeypatch.setattr(images, "build", lambda flavor, packages: asked.append((flavor, packages)) or small_image)
    monkeypatch.setattr(pushed_images, "REMEMBERED", tmp_path / "pushed.json")
    docker("login", "--username", registry.user, "--password", registry.password, registry.host)
    words = ["--registry", registry.host, "--repository", "team/rl", "--debian", "xvfb libgl1"]
    assert push.main(words) == 0
    assert asked == [("cpu", ("libgl1", "xvfb"))]
    (pushed,) = pushed_images.remembered(tmp_path / "pushed.json")
    assert capsys.readouterr().out == f"{registry.host}/team/rl@{pushed['digest']}\n"


def test_what_is_no_registry_is_refused_before_anything_is_built(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(images, "build", lambda flavor, packages: pytest.fail("it was built"))
    assert push.main(["--registry", "https://registry.local/path"]) == 2
    assert "--registry https://registry.local/path: expected HOST or HOST:PORT" in capsys.readouterr().err


def test_the_latest_push_of_a_kind_is_remembered(tmp_path: Path) -> None:
    file = tmp_path / "build" / "pushed.json"
    first, second = (
        pushed_images.record(Image("cpu", tag, "sha256:0"), "host:5000/name", digest)
        for tag, digest in (("cpu-1", "sha256:1"), ("cpu-2", "sha256:2"))
    )
    gpu = pushed_images.record(Image("gpu", "gpu-1", "sha256:3"), "host:5000/name", "sha256:3")
    for pushed in (first, gpu, second):
        pushed_images.remember(pushed, file)
    assert pushed_images.remembered(file) == [gpu, second]
