"""A job.json that somebody changed: its sound parts are read, and what is wrong is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, List, Tuple

import pytest

from rl_app.errors import UserError
from rl_app.storage import job_record
from rl_app.storage.directory import DirectoryStore
from tests.made_jobs import make, script

WRONG: List[Tuple[str, Any]] = [
    *(("TrainingJobStatus", value) for value in (None, 7, "Done", [], {})),
    *((key, value) for key in ("CreationTime", "LastModifiedTime") for value in (None, 7, "yesterday", [], {})),
    *(("TrainingTimeInSeconds", value) for value in ("1", -1, 1.5, [], {}, True)),
    *(("FailureReason", value) for value in (7, [], {})),
    *(("HyperParameters", value) for value in (None, "a", 7, ["a"], {"a": 1}, {"a": None}, {"command": ["train"]})),
    *(("InputDataConfig", value) for value in ("a", {}, [7], [{}], [{"ChannelName": "model", "DataSource": None}])),
    *(("ModelArtifacts", value) for value in ("a", [], {"S3ModelArtifacts": 7})),
    *(("FinalMetricDataList", value) for value in ("a", {}, [7], [{}], [{"MetricName": "a", "Value": "high"}])),
    *(("Local", value) for value in (None, "a", [], {"Processes": 7}, {"Processes": {"a": "b"}})),
    *(("Versions", value) for value in ("a", [], {"ray": 8})),
    *(("TrainingJobName", value) for value in (None, 7, [])),
]


@pytest.mark.parametrize(("key", "value"), WRONG, ids=[f"{key}={value}" for key, value in WRONG])
def test_every_reader_goes_on_with_what_is_sound(key: str, value: Any, tmp_path: Path) -> None:
    file = tmp_path / "runs" / "first" / "job.json"
    make(DirectoryStore(tmp_path / "runs"), "first")
    record = json.loads(file.read_text())
    file.write_text(json.dumps({**record, key: value}))
    sound, wrong = job_record.read_what_is_sound(file.read_bytes(), "job.json")
    assert sound == {name: record[name] for name in record if name != key}
    assert len(wrong) == 1 and wrong[0].startswith(f"job.json: {key}") and "must be" in wrong[0]
    with pytest.raises(UserError, match=rf"^job\.json: {key}"):
        job_record.read(file.read_bytes(), "job.json")


@pytest.mark.parametrize("text", ["", "[]", "7", "{", "[" * 100_000, "\udcff"], ids=lambda text: text[:5])
def test_what_is_no_record_is_named(text: str) -> None:
    sound, wrong = job_record.read_what_is_sound(text.encode(errors="surrogateescape"), "job.json")
    assert sound == {} and len(wrong) == 1 and wrong[0].startswith("job.json: ") and "\n" not in wrong[0]


@pytest.mark.parametrize(("key", "value"), [("HyperParameters", ["a"]), ("FinalMetricDataList", [7]), ("Local", "a")])
@pytest.mark.parametrize("command", [["jobs"], ["watch", "first"], ["plot", "first"]])
def test_a_command_names_file_and_key(command: List[str], key: str, value: Any, tmp_path: Path) -> None:
    file = tmp_path / "runs" / "first" / "job.json"
    make(DirectoryStore(tmp_path / "runs"), "first")
    file.write_text(json.dumps({**json.loads(file.read_text()), key: value}))
    _, _, lines = script(*command, cwd=tmp_path, environ={"STORE": str(tmp_path / "runs")})
    assert "Traceback" not in "\n".join(lines)
    assert [line for line in lines if f"first/job.json: {key}" in line], lines
