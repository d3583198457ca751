"""Space on a disk: asked for, kept for last words, and named where it was not enough."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Iterator

import pytest

from rl_app import cluster, disk
from rl_app.errors import UserError
from tests import mounts


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
        cluster.check_memory(said.append, tmp_path, tmp_path / "nowhere")
        assert said == []

    def test_files_in_its_place_are_told(self, small: Path, tmp_path: Path) -> None:
        said = []
        cluster.check_memory(said.append, small, tmp_path)
        (line,) = said
        assert line.startswith(f"{small} has 0 MiB to spare, and Ray needs 75: it keeps its objects in {tmp_path}")
        assert cluster.object_store_bytes(small, tmp_path) >= cluster.SMALLEST_STORE

    def test_nowhere_is_refused_with_what_helps(self, small: Path) -> None:
        with pytest.raises(UserError, match=r"and Ray needs 75, there or in .*: `docker run --shm-size 1g` gives more"):
            cluster.check_memory(pytest.fail, small, small)
