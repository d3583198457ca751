"""`scripts/build`: tags, labels, the command, and the bill of materials, as values."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from rl_app.errors import UserError
from scripts.commands import build
from scripts.lib import images
from scripts.lib.environments import ROOT
from scripts.lib.images import Image, Revision

COMMIT = "c5577041aa28ffd9f7de0cf4e1f9b1f9e44a9c01"
CLEAN = Revision(COMMIT, 1767225600, dirty=False)
DIRTY = Revision(COMMIT, 1767225600, dirty=True)
ID = "sha256:" + "04fee02339a1" * 5 + "0000"


def test_a_tag_stands_for_one_image() -> None:
    assert images.tag_of("cpu", CLEAN, ID) == "cpu-c5577041aa28"
    assert images.tag_of("gpu", DIRTY, ID) == "gpu-c5577041aa28-dirty-04fee02339a1"


def test_the_build_is_described_by_the_commit_alone() -> None:
    labels = images.labels("cpu", DIRTY)
    assert labels == {
        "org.opencontainers.image.title": "sagemaker-rllib (cpu)",
        "org.opencontainers.image.description": "Trains and serves Ray RLlib 0.8.5 policies on Amazon SageMaker",
        "org.opencontainers.image.licenses": "Apache-2.0",
        "org.opencontainers.image.revision": f"{COMMIT}-dirty",
        "org.opencontainers.image.version": "c5577041aa28-dirty",
        "org.opencontainers.image.created": "2026-01-01T00:00:00Z",
    }
    assert images.build_command(Path("/r/Dockerfile.cpu"), "name:cpu", {"key": "value"}, CLEAN, Path("/r")) == [
        *("docker", "buildx", "build", "--load", "--platform", "linux/amd64"),
        *("--build-arg", "SOURCE_DATE_EPOCH=1767225600"),
        *("--file", "/r/Dockerfile.cpu", "--tag", "name:cpu", "--label", "key=value", "/r"),
    ]


def test_the_bill_of_materials_names_every_package_and_depends_on_the_image_alone() -> None:
    image = Image("cpu", "cpu-c5577041aa28", ID)
    lock = (
        "# made by uv\nray==0.8.5 \\\n    --hash=sha256:00\n    # via -r x.in\nnumpy==1.23.5 \\\n    --hash=sha256:01\n"
    )
    bill = build.sbom(image, lock, [("libstdc++6", "12.2.0-14", "amd64"), ("bash", "1:5.2~rc1+b2", "amd64")])
    assert bill == build.sbom(image, lock, [("bash", "1:5.2~rc1+b2", "amd64"), ("libstdc++6", "12.2.0-14", "amd64")])
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.5")
    assert [part["purl"] for part in bill["components"]] == [
        "pkg:deb/debian/bash@1%3A5.2~rc1%2Bb2?arch=amd64",
        "pkg:deb/debian/libstdc%2B%2B6@12.2.0-14?arch=amd64",
        "pkg:pypi/ray@0.8.5",
        "pkg:pypi/numpy@1.23.5",
    ]
    assert bill["dependencies"][0]["dependsOn"] == [part["bom-ref"] for part in bill["components"]]
    assert bill["serialNumber"] != build.sbom(Image("cpu", "x", "sha256:1"), lock, [])["serialNumber"]


def test_the_revision_is_gits_and_says_what_is_not_committed(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="with the git revision, and git says: fatal: not a git repository"):
        images.revision_of(tmp_path)
    (tmp_path / "file").write_text("one")
    me = ("-c", "user.name=tests", "-c", "user.email=tests@localhost")
    for words in (("init", "--quiet"), ("add", "file"), (*me, "commit", "--quiet", "--message", "one")):
        subprocess.run(["git", "-C", str(tmp_path), *words], check=True)
    clean = images.revision_of(tmp_path)
    assert (len(clean.commit), clean.dirty) == (40, False)
    (tmp_path / "other").write_text("two")
    assert images.revision_of(tmp_path) == Revision(clean.commit, clean.seconds, dirty=True)


def test_a_clone_of_another_user_is_told_of_in_gits_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    with pytest.raises(UserError) as refused:
        images.revision_of(ROOT)
    said = f"git says: fatal: detected dubious ownership in repository at '{ROOT}'; `git config --global --add "
    assert said in str(refused.value) and str(refused.value).endswith("` has it answer")


def test_without_git_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="and there is no `git` command"):
        images.revision_of(tmp_path)


def test_a_flavor_without_a_dockerfile_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"gpu: there is no Dockerfile\.gpu here"):
        images.build("gpu", tmp_path)
