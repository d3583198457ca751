"""Jobs by name, and the settings that docker compose reads."""

from __future__ import annotations

import json
import os
import socket
import tempfile
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Dict, Iterator, Optional

import pytest

from rl_app.errors import UserError
from rl_app.storage.directory import DirectoryStore
from scripts.lib import dotenv, jobs, stores, wording


def put(root: Path, name: str, file: str = "job.json", **record: Any) -> None:
    (root / "runs" / name).mkdir(parents=True, exist_ok=True)
    (root / "runs" / name / file).write_text(json.dumps({"TrainingJobName": name, **record}))


@pytest.fixture
def away() -> Dict[str, str]:
    """Settings with a port on which nothing listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return {"S3_PORT": str(free.getsockname()[1])}


def test_a_job_of_runs_is_found_by_its_name(tmp_path: Path, away: Dict[str, str]) -> None:
    put(tmp_path, "first", TrainingJobStatus="Completed")
    job = jobs.find("first", None, away, tmp_path)
    assert (job.name, job.state, job.store.url) == ("first", "Completed", str(tmp_path / "runs"))


def test_an_unknown_job_is_refused_with_the_nearest_names_and_what_was_left_out(
    tmp_path: Path, away: Dict[str, str]
) -> None:
    put(tmp_path, "first")
    with pytest.raises(UserError, match=r"frist: no such job in .*did you mean first\?.*MinIO is not up") as refused:
        jobs.find("frist", None, away, tmp_path)
    assert "\n" not in str(refused.value)
    with pytest.raises(UserError, match="job name"):
        jobs.find("../first", None, away, tmp_path)


def test_a_fetched_copy_is_found_where_its_own_store_is_away(tmp_path: Path, away: Dict[str, str]) -> None:
    put(tmp_path, "first", jobs.FETCHED, TrainingJobStatus="Completed")
    assert jobs.find("first", None, away, tmp_path).state == "Completed"
    assert jobs.all_of(stores.open_runs({}, tmp_path)) == []


@pytest.mark.parametrize("url", ["elsewhere", "ftp://elsewhere"])
def test_a_store_that_is_not_there_is_refused(
    url: str, tmp_path: Path, away: Dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=f"store .*{url}: "):
        jobs.find("first", url, away, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_compose_store_is_refused_by_name_where_it_is_down(tmp_path: Path, away: Dict[str, str]) -> None:
    with pytest.raises(UserError, match=f"--store compose: MinIO is not up .127.0.0.1:{away['S3_PORT']}.*compose up"):
        jobs.find("first", "compose", away, tmp_path)
    with pytest.raises(UserError, match="S3_PORT = many"):
        jobs.find("first", "compose", {"S3_PORT": "many"}, tmp_path)


def test_jobs_come_newest_first_and_a_broken_record_is_one_of_them(tmp_path: Path) -> None:
    for day in (1, 3, 2):
        put(tmp_path, f"day-{day}", CreationTime=f"2026-01-0{day}T00:00:00+00:00")
    put(tmp_path, "broken")
    (tmp_path / "runs" / "broken" / "job.json").write_text("{")
    (tmp_path / "runs" / "no-job").mkdir()
    runs = stores.NamedStore("runs", DirectoryStore(tmp_path / "runs"))
    assert [job.name for job in jobs.all_of(runs)] == ["day-3", "day-2", "day-1", "broken"]


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder that everybody may read, for the time of which this process is nobody."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        for name in ("mine", "theirs"):
            put(Path(folder), name, TrainingJobStatus="Completed")
        (Path(folder) / "runs" / "mine" / "job.json").chmod(0o644)
        (Path(folder) / "runs" / "theirs" / "job.json").chmod(0)
        if os.geteuid() == 0:
            os.seteuid(65534)
        try:
            yield Path(folder)
        finally:
            os.seteuid(os.getuid())


def test_another_users_job_is_listed_as_far_as_it_can_be(shared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = stores.NamedStore("runs", DirectoryStore(shared / "runs"))
    assert [(job.name, job.state) for job in jobs.all_of(runs)] == [("mine", "Completed"), ("theirs", "")]
    said = f"store {shared}/runs: theirs/job.json: Permission denied"
    assert capsys.readouterr().err.splitlines() == [said]


@pytest.mark.parametrize(
    ("age", "state", "local", "silent"),
    [(10, "InProgress", True, False), (90, "InProgress", True, True), (90, "InProgress", False, False)]
    + [(90, "Completed", True, False)],
)
def test_a_job_without_a_heartbeat_is_silent(age: int, state: str, local: bool, silent: bool) -> None:
    at = datetime.now(timezone.utc) - timedelta(seconds=age)
    record = {"TrainingJobStatus": state, "LastModifiedTime": at.isoformat(), **({"Local": {}} if local else {})}
    found = jobs.Job("first", stores.NamedStore("runs", DirectoryStore(Path("runs"))), record).silent_s
    assert (found is not None) == silent
    assert found is None or 90 <= found < 120


@pytest.mark.parametrize(
    ("written", "taken"),
    [("s3://bucket/jobs", "s3://bucket/jobs"), ("/data/jobs", "/data/jobs"), ("jobs", "{}/jobs"), ("", None)],
)
def test_the_store_of_env_is_that_of_every_script(
    written: str, taken: Optional[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text(f"STORE={written}\n")
    monkeypatch.setenv("STORE", "")  # which is put back after the test
    monkeypatch.delenv("STORE")
    dotenv.take_store(tmp_path)
    assert os.environ.get("STORE") == (taken and taken.format(tmp_path))
    monkeypatch.setenv("STORE", "mine")
    dotenv.take_store(tmp_path)
    assert os.environ["STORE"] == "mine"


def test_the_settings_of_env_are_read_as_compose_reads_them(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    assert dotenv.read(file, {}) == {}
    file.write_text(
        '# a comment\nS3_PORT=9100\nexport A = spaced # said\nB=\'# ${A}\'\nC="two \\"words\\" # ${A}"\n'
        "D=${A}-${NOWHERE:-default}-$HOME_OF\nE=\nF=# nothing\nG=a#b\nno setting\n"
    )
    assert dotenv.read(file, {"HOME_OF": "me"}) == {
        "S3_PORT": "9100",
        "A": "spaced",
        "B": "# ${A}",
        "C": 'two "words" # spaced',
        "D": "spaced-default-me",
        "E": "",
        "F": "",
        "G": "a#b",
    }


def test_a_path_is_shown_as_it_can_be_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert wording.short_path(tmp_path / "runs") == "runs"
    assert wording.short_path(Path(os.sep, "elsewhere")) == "/elsewhere"
