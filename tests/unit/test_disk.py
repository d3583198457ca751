"""Space on a disk: asked for, kept for last words, and named where it was not enough."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import Iterator

import pytest

from rl_app import disk
from rl_app.errors import UserError
from rl_app.files import scratch_folder
from rl_app.reports import live
from rl_app.reports.training import STILL_RUNNING
from rl_app.storage import layout
from rl_app.training import ray_runtime
from tests import mounts
from tests.unit.test_training_report import facts


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    with mounts.disk(tmp_path / "small", "1m") as directory:
        yield directory


def fill(directory: Path) -> None:
    with (directory / "filler").open("wb", buffering=0) as filler, pytest.raises(OSError, match=disk.NO_SPACE):
        while True:
            filler.write(bytes(4096))


def test_a_disk_with_too_little_is_refused(small: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"small: its disk has 1\.0 MiB free, and a job needs 16 MiB"):
        disk.check_space(small)
    disk.check_space(tmp_path)


def test_what_is_reserved_is_there_when_the_disk_is_full(small: Path) -> None:
    disk.reserve(small)
    fill(small)
    with disk.given_back(small):
        (small / "last-words").write_bytes(bytes(8192))
    assert (small / disk.RESERVE).exists(), "and again for the next"
    disk.release(small)
    assert sorted(path.name for path in small.iterdir()) == ["filler", "last-words"]


def test_nothing_is_reserved_where_nothing_was(tmp_path: Path) -> None:
    with disk.given_back(tmp_path):
        pass
    assert not list(tmp_path.iterdir())


def test_the_fullest_disk_is_named(small: Path, tmp_path: Path) -> None:
    fill(small)
    error = OSError(errno.ENOSPC, disk.NO_SPACE)
    places = [tmp_path, small, tmp_path / "nowhere"]
    assert disk.full(error, places) == f"{disk.NO_SPACE}: the disk of {small} is full"
    assert disk.full(RuntimeError(f"tensorflow says: {disk.NO_SPACE}"), places)
    assert disk.full(OSError(errno.EACCES, "Permission denied"), places) is None


class TestSharedMemory:
    def test_enough_is_said_nothing_of(self, tmp_path: Path) -> None:
        said = []
        ray_runtime.check_memory(said.append, tmp_path, tmp_path / "nowhere")
        assert said == []

    def test_files_in_its_place_are_told(self, small: Path, tmp_path: Path) -> None:
        said = []
        ray_runtime.check_memory(said.append, small, tmp_path)
        (line,) = said
        assert line.startswith(f"{small} has 0 MiB to spare, and Ray needs 75: it keeps its objects in {tmp_path}")
        assert ray_runtime.object_store_bytes(small, tmp_path) >= ray_runtime.SMALLEST_STORE

    def test_nowhere_is_refused_with_what_helps(self, small: Path) -> None:
        with pytest.raises(UserError, match=r"and Ray needs 75, there or in .*: `docker run --shm-size 1g` gives more"):
            ray_runtime.check_memory(pytest.fail, small, small)


def test_what_does_not_fit_leaves_nothing_of_itself(small: Path) -> None:
    (small / layout.FACTS).write_text(json.dumps(facts()))
    fill(small)
    left = sorted(path.name for path in small.iterdir())
    with pytest.raises(OSError, match=disk.NO_SPACE):
        live.write(small, STILL_RUNNING)
    with pytest.raises(OSError, match=disk.NO_SPACE), scratch_folder(small / ".tmp-checkpoint") as folder:
        (folder / "weights").write_bytes(bytes(8192))
    assert sorted(path.name for path in small.iterdir()) == left


def test_a_scratch_folder_is_empty_whatever_a_killed_process_left(tmp_path: Path) -> None:
    (tmp_path / ".tmp-checkpoint").mkdir()
    (tmp_path / ".tmp-checkpoint" / "half").touch()
    with scratch_folder(tmp_path / ".tmp-checkpoint") as folder:
        assert not list(folder.iterdir())
    assert not list(tmp_path.iterdir())
