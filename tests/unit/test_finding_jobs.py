"""`scripts/watch` and `scripts/stop` of a job that is nowhere: they say where they looked, with and without AWS."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Dict, List

import pytest

from rl_app.storage.directory import DirectoryStore
from tests.made_jobs import make, script

NO_AWS = {
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}


@pytest.fixture(autouse=True)
def no_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests may have settings of AWS's."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)


def said(command: str, name: str, cwd: Path, **environ: str) -> List[str]:
    """The lines of a refusal."""
    settings: Dict[str, str] = {**NO_AWS, "STORE": str(cwd / "runs"), **environ}
    status, printed, lines = script(command, name, cwd=cwd, environ=settings)
    assert (status, printed) == (2, ""), lines
    return lines


@pytest.mark.parametrize("command", ["watch", "stop"])
@pytest.mark.parametrize(
    ("environ", "reason"),
    [
        ({}, "no AWS region"),
        ({"AWS_DEFAULT_REGION": "eu-central-1"}, "no AWS credentials"),
        ({"AWS_PROFILE": "nobody"}, "The config profile (nobody) could not be found"),
    ],
    ids=["no region", "no credentials", "no such profile"],
)
def test_a_job_that_is_nowhere_is_said_to_be_with_where_was_looked(
    command: str, environ: Dict[str, str], reason: str, tmp_path: Path
) -> None:
    make(DirectoryStore(tmp_path / "runs"), "first")
    *_, line = said(command, "frist", tmp_path, **environ)
    where = "frist: no such job in runs; did you mean first? (compose store left out: MinIO is not up"
    assert line.startswith(where), line
    assert f"; SageMaker was not asked: {reason}" in line
