"""Where a model is found, by every way to name it, and what is refused."""

from __future__ import annotations

import json
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest

from rl_app.errors import UserError
from rl_app.storage.artifacts import locate, newest, opened
from rl_app.storage.directory import DirectoryStore
from tests.made_jobs import archive


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    return DirectoryStore(tmp_path / "runs")


MODEL = archive({"policy.json": b"{}", "policy.onnx": os.urandom(4096)})
MIDDLE = len(MODEL) // 2


def job(store: DirectoryStore, name: str, created: str = "2026-01-01T00:00:00+00:00", **changes: Any) -> None:
    record = {
        "TrainingJobName": name,
        "TrainingJobStatus": "Completed",
        "CreationTime": created,
        "HyperParameters": {"command": "train"},
        "ModelArtifacts": {},
    }
    record.update(changes)
    store.write(f"{name}/job.json", json.dumps(record).encode())
    if "ModelArtifacts" in record:
        store.write(f"{name}/output/model.tar.gz", MODEL)


class TestLocate:
    def fetched(self, place: str, store: DirectoryStore, channel: Path) -> "list[str]":
        locate(place, store).fetch(channel)
        return sorted(path.name for path in opened(channel, channel / "scratch").iterdir())

    @pytest.mark.parametrize(
        "place", ["first", "{root}/first", "{root}/first/output", "{root}/first/output/model.tar.gz", "{root}/first/"]
    )
    def test_a_job_by_its_name_its_directory_and_its_file(
        self, place: str, store: DirectoryStore, tmp_path: Path
    ) -> None:
        job(store, "first")
        place = place.format(root=store.root)
        assert self.fetched(place, store, tmp_path / "channel") == ["policy.json", "policy.onnx"]

    def test_the_code_that_a_job_kept_goes_with_it(self, store: DirectoryStore) -> None:
        job(store, "first")
        assert locate("first", store).source is None
        store.write("first/source/sourcedir.tar.gz", b"code")
        for place in ("first", f"{store.root}/first", f"{store.root}/first/output/model.tar.gz"):
            found = locate(place, store)
            assert found.source and found.store.read(found.source) == b"code"

    def test_a_models_own_files(self, store: DirectoryStore, tmp_path: Path) -> None:
        for name in ("checkpoint", "params.json", "1/saved_model.pb"):
            DirectoryStore(tmp_path / "aws").write(name, b"x")
        assert self.fetched(str(tmp_path / "aws"), store, tmp_path / "channel") == ["1", "checkpoint", "params.json"]

    def test_any_archives_name_will_do(self, store: DirectoryStore, tmp_path: Path) -> None:
        (tmp_path / "mine.tgz.gz").write_bytes(MODEL)
        assert locate(str(tmp_path / "mine.tgz.gz"), store).name == "mine.tgz"

    @pytest.mark.parametrize(
        ("place", "expected"),
        [
            ("frist", "frist: no job of {root}, and no file or directory here; did you mean first?"),
            ("none/model.tar.gz", "none/model.tar.gz: there is no such file or directory"),
            ("none.tar.gz", "none.tar.gz: there is no such file or directory"),
            ("{root}", "{root}: neither output/model.tar.gz, model.tar.gz, policy.json nor checkpoint is in it"),
            ("{root}/first/job.json", "{root}/first/job.json: a model is a model.tar.gz, a directory, "),
            ("failed", "failed: a job of {root}, Failed, and has no model"),
            ("evaluation", "evaluation: an evaluation of {root}, Completed, and has no model"),
            ("file:///nowhere/model.tar.gz", "store /nowhere: there is no such directory"),
            ("ftp://host/model.tar.gz", "store ftp://host: must be s3://BUCKET[/PREFIX] or a directory"),
        ],
    )
    def test_what_is_no_model_is_refused(self, place: str, expected: str, store: DirectoryStore) -> None:
        job(store, "first")
        job(store, "failed", TrainingJobStatus="Failed")
        (store.root / "failed/output/model.tar.gz").unlink()
        job(store, "evaluation", HyperParameters={"command": "evaluate"})
        (store.root / "evaluation/output/model.tar.gz").unlink()
        with pytest.raises(UserError) as caught:
            locate(place.format(root=store.root), store)
        assert str(caught.value).startswith(expected.format(root=store.root))


class TestNewest:
    def test_it_is_the_newest_completed_job_that_trained(self, store: DirectoryStore) -> None:
        job(store, "zeroth", "2026-01-01T00:00:00+00:00")
        job(store, "first", "2026-01-02T00:00:00+00:00", HyperParameters={})
        job(store, "failed", "2026-01-03T00:00:00+00:00", TrainingJobStatus="Failed")
        job(store, "evaluated", "2026-01-04T00:00:00+00:00", HyperParameters={"command": "evaluate"})
        job(store, "program", "2026-01-05T00:00:00+00:00", HyperParameters={"sagemaker_program": "mine.py"})
        store.write("foreign/job.json", b"[]")
        assert newest(store).name == "first"

    def test_a_store_without_one_is_refused(self, store: DirectoryStore) -> None:
        with pytest.raises(UserError, match="no completed training job in it"):
            newest(store)


class TestOpened:
    @pytest.mark.parametrize(
        ("data", "expected"),
        [
            (b"no archive", "corrupt, or no tar archive"),
            (MODEL[:MIDDLE], "corrupt, or no tar archive"),
            (MODEL[:MIDDLE] + bytes(64) + MODEL[MIDDLE + 64 :], "corrupt, or no tar archive"),
            (archive({"readme.txt": b"x"}), r"neither policy.json nor checkpoint is in it"),
            (archive({"../policy.json": b"{}"}), r"'\.\./policy.json': leads out of the archive's folder"),
        ],
        ids=["no archive", "cut short", "damaged", "no model", "leaves its folder"],
    )
    def test_an_archive_that_is_no_model_is_refused(self, data: bytes, expected: str, tmp_path: Path) -> None:
        (tmp_path / "channel").mkdir()
        (tmp_path / "channel" / "model.tar.gz").write_bytes(data)
        with pytest.raises(UserError, match=expected):
            opened(tmp_path / "channel", tmp_path / "scratch")
        assert not (tmp_path / "policy.json").exists()

    @pytest.mark.parametrize("hoard", [{"files": 10_001}, {"size": 5 << 30}], ids=str)
    def test_an_archive_that_would_fill_the_disk_is_refused(self, hoard: "dict[str, int]", tmp_path: Path) -> None:
        (tmp_path / "channel").mkdir()
        with tarfile.open(str(tmp_path / "channel" / "model.tar.gz"), "w:gz") as tar:
            for number in range(hoard.get("files", 1)):
                member = tarfile.TarInfo(str(number))
                member.size = hoard.get("size", 0)  # which is only said: nothing follows
                tar.addfile(member)
        with pytest.raises(UserError, match=r"model.tar.gz: more than 10000 files or 4294967296 bytes"):
            opened(tmp_path / "channel", tmp_path / "scratch")
        assert sum(path.stat().st_size for path in (tmp_path / "scratch").iterdir()) == 0

    def test_a_channel_without_a_model_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match=r"neither model.tar.gz nor policy.json nor checkpoint is in it"):
            opened(tmp_path / "model", tmp_path / "scratch")
