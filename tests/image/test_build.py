"""`scripts/build` for real: tag, labels, the same image of the same tree, and its bill of materials."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Iterator

import pytest

from scripts.commands import build
from scripts.lib import images
from scripts.lib.environments import ROOT
from scripts.lib.images import Image
from tests.image.containers import docker


@pytest.fixture(scope="module")
def built(image: str) -> Iterator[Image]:
    """What is built when everything is in the builder's cache."""
    made = images.build("cpu")
    yield made
    docker("rmi", made.local)


def test_the_tag_is_gits_revision_and_of_a_tree_with_changes_the_images_too(built: Image) -> None:
    revision = images.revision_of(ROOT)
    assert built.tag == images.tag_of("cpu", revision, built.id)
    assert re.fullmatch("cpu-[0-9a-f]{12}(-dirty-[0-9a-f]{12})?", built.tag)
    assert docker("image", "inspect", "--format", "{{.Id}}", built.local).output.strip() == built.id


def test_the_labels_are_the_open_container_initiatives(built: Image) -> None:
    labels = json.loads(docker("image", "inspect", "--format", "{{json .Config.Labels}}", built.id).output)
    expected = images.labels("cpu", images.revision_of(ROOT))
    assert {key: labels[key] for key in expected} == expected


def test_the_same_tree_is_the_same_image(built: Image) -> None:
    assert images.build("cpu") == built


def test_the_bill_names_what_is_in_the_image(built: Image, tmp_path: Path) -> None:
    bill: Any = json.loads(build.write_sbom(built, tmp_path).read_text())
    parts = {part["name"]: part["version"] for part in bill["components"]}
    listed = docker("run", "--rm", "--entrypoint", "pip", built.id, "list", "--format", "json").output
    installed = {each["name"].lower().replace("_", "-"): each["version"] for each in json.loads(listed.splitlines()[0])}
    for name in ("ray", "tensorflow-cpu", "sagemaker-training", "boto3"):
        assert parts[name] == installed[name]
    assert parts["bash"].startswith("5.")
    assert bill["metadata"]["component"]["hashes"] == [{"alg": "SHA-256", "content": built.id[len("sha256:") :]}]
