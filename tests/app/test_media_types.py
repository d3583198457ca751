"""A media type is one value: added as its package says, it is read, written and documented."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.app.made_models import write_model
from tests.app.serving import REPOSITORY, Served

TSV = '''"""Tab-separated values, as people make them."""

import numpy as np

from rl_app.serving.media_types.media_type import MediaType
from rl_app.serving.outputs import actions_of
from rl_app.serving.queries import Query


def decode(reader, body):
    rows = [line.split("\\t") for line in body.decode().splitlines()]
    return Query(reader.observations.from_array(np.array(rows, float), "body"))


def encode(outputs, by_row):
    return b"\\n".join(b"%d" % action for action in actions_of(outputs)[0])


TSV = MediaType(
    name="text/tab-separated-values",
    decode=decode,
    encode=encode,
    request=lambda policy: {"type": "string", "description": f"{policy.observation_size} numbers a line"},
    answer={"type": "string", "description": "an action a line"},
)
'''


@pytest.fixture
def with_tsv(tmp_path: Path) -> Path:
    """A copy of the program with one more media type: a module and its place in MEDIA_TYPES."""
    shutil.copytree(str(REPOSITORY / "rl_app"), str(tmp_path / "rl_app"), ignore=shutil.ignore_patterns("__pycache__"))
    package = tmp_path / "rl_app" / "serving" / "media_types"
    (package / "tsv.py").write_text(TSV)
    listed = (package / "__init__.py").read_text()
    listed = listed.replace("MEDIA_TYPES = (", "from rl_app.serving.media_types.tsv import TSV\n\nMEDIA_TYPES = (TSV, ")
    (package / "__init__.py").write_text(listed)
    return tmp_path


def test_a_media_type_that_is_added_is_read_written_and_documented(with_tsv: Path, tmp_path: Path) -> None:
    with Served(write_model(tmp_path / "model"), directory=with_tsv) as server:
        answer = server.post(b"0.1\t0.2\t0.3\t0.4\n1\t2\t3\t4\n", "text/tab-separated-values")
        assert (answer.status, answer.headers["content-type"]) == (200, "text/tab-separated-values")
        asked = server.post([[0.1, 0.2, 0.3, 0.4], [1, 2, 3, 4]])
        assert [int(line) for line in answer.body.splitlines()] == asked.json["outputs"]["actions_0"]
        assert server.post([[1, 2, 3, 4]], accept="text/tab-separated-values").body.strip().isdigit()

        operation = server.get("/openapi.json").json["paths"]["/invocations"]["post"]
        described = operation["requestBody"]["content"]["text/tab-separated-values"]["schema"]
        assert described == {"type": "string", "description": "4 numbers a line"}
        given = operation["responses"]["200"]["content"]["text/tab-separated-values"]["schema"]
        assert given["description"] == "an action a line"
        refused = server.post(b"1,2,3,4", "text/plain")
        assert refused.status == 415 and "text/tab-separated-values" in refused.json["error"]
