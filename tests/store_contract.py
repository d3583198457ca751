"""What every store does. A test class takes it over with a fixture ``store`` of its own kind."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Dict, Iterator, List

import pytest

from rl_app.errors import JobError, UserError
from rl_app.storage.base import ChangedError, Store
from rl_app.storage.mirror import Mirror, restore
from tests.waiting import until

SIZE = 24 << 20
"""Bytes of a file that takes a while to copy, in more than one part."""
WRITE_ANEW = {
    "renamed": "open('beside.tmp', 'wb').write(content); os.replace('beside.tmp', 'file')",
    "in place": "file = open('file', 'r+b'); file.write(content)",
    "cut": "file = open('file', 'wb'); file.write(content)",
}
"""How a program may put another version of a file in its place."""


@contextmanager
def rewritten(directory: Path, way: str) -> Iterator[None]:
    """Has another process write one version of a file after the other, each of one letter, while the block runs."""
    (directory / "file").write_bytes(b"a" * SIZE)
    endless = f"import itertools, os\nfor letter in itertools.cycle(b'bcd'):\n  content = bytes([letter]) * {SIZE}\n  "
    writer = subprocess.Popen([sys.executable, "-c", endless + WRITE_ANEW[way]], cwd=str(directory))
    try:
        until(lambda: (directory / "file").read_bytes()[:1] != b"a")
        yield
    finally:
        writer.kill()
        writer.wait(10)


def keys(store: Store, prefix: str = "") -> List[str]:
    return [entry.key for entry in store.list(prefix)]


class StoreContract:
    def test_reads_what_was_written_last(self, store: Store) -> None:
        store.write("job/a.json", b"first")
        store.write("job/a.json", b"second")
        assert store.read("job/a.json") == b"second"

    def test_what_is_not_there_is_not_found(self, store: Store, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError, match=r"job/a\.json"):
            store.read("job/a.json")
        with pytest.raises(FileNotFoundError, match=r"job/a\.json"):
            store.download("job/a.json", tmp_path / "a")
        assert not (tmp_path / "a").exists()
        store.delete("job/a.json")

    def test_tells_the_jobs_without_their_files(self, store: Store) -> None:
        assert store.folders() == []
        for key in ("b/job.json", "a/output/intermediate/x", "a/job.json", "no-folder"):
            store.write(key, b"1")
        assert store.folders() == ["a", "b"]

    def test_a_download_tells_how_much_has_arrived(self, store: Store, tmp_path: Path) -> None:
        store.write("job/a", bytes(3 << 20))
        parts: List[int] = []
        store.download("job/a", tmp_path / "a", parts.append)
        assert sum(parts) == 3 << 20

    def test_a_name_is_claimed_once(self, store: Store) -> None:
        assert store.create("job/job.json", b"mine")
        assert not store.create("job/job.json", b"yours")
        assert store.read("job/job.json") == b"mine"

    def test_of_many_who_claim_at_once_one_wins(self, store: Store) -> None:
        won: List[bytes] = []
        start = threading.Barrier(8)

        def claim(who: bytes) -> None:
            start.wait(10)
            if store.create("raced/job.json", who):
                won.append(who)

        threads = [threading.Thread(target=claim, args=(b"%d" % number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert won == [store.read("raced/job.json")]

    def test_files_go_there_and_back(self, store: Store, tmp_path: Path) -> None:
        content = os.urandom(9 << 20)  # more than S3 takes in one part
        (tmp_path / "here").write_bytes(content)
        store.upload(tmp_path / "here", "job/output/model.tar.gz")
        store.download("job/output/model.tar.gz", tmp_path / "deep" / "down" / "back")
        assert (tmp_path / "deep" / "down" / "back").read_bytes() == content
        assert os.listdir(tmp_path / "deep" / "down") == ["back"]

    def test_a_local_file_that_is_missing_is_no_fault_of_the_store(self, store: Store, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError):
            store.upload(tmp_path / "gone", "job/gone")
        assert keys(store) == []

    @pytest.mark.parametrize("way", WRITE_ANEW)
    def test_an_upload_is_of_one_version_of_its_file(self, store: Store, tmp_path: Path, way: str) -> None:
        with rewritten(tmp_path, way):
            for _ in range(4):
                with suppress(ChangedError):
                    store.upload(tmp_path / "file", "job/file")
                for entry in store.list(""):
                    assert versions_in(store.read(entry.key)) <= 1

    def test_a_download_is_of_one_version_of_its_object(self, store: Store, tmp_path: Path) -> None:
        store.write("job/file", b"a" * SIZE)
        over = threading.Event()

        def write_anew() -> None:
            while not over.is_set():
                for letter in (b"b", b"c"):
                    store.write("job/file", letter * SIZE)

        writer = threading.Thread(target=write_anew)
        writer.start()
        try:
            for _ in range(4):
                store.download("job/file", tmp_path / "file")
                assert versions_in((tmp_path / "file").read_bytes()) == 1
        finally:
            over.set()
            writer.join(30)

    def test_lists_what_is_below_a_folder_and_nothing_beside_it(self, store: Store) -> None:
        for key in ("job-1/b", "job-1/a/z", "job-10/c", "job-1.json"):
            store.write(key, b"12345")
        assert keys(store, "job-1") == ["job-1/a/z", "job-1/b"]
        assert keys(store, "none") == []
        assert keys(store) == ["job-1.json", "job-1/a/z", "job-1/b", "job-10/c"]
        entry = store.list("job-10")[0]
        assert entry.size == 5
        assert abs((datetime.now(timezone.utc) - entry.modified).total_seconds()) < 60

    def test_a_key_that_leaves_the_store_is_refused(self, store: Store, tmp_path: Path) -> None:
        (tmp_path / "here").touch()
        for key in ("../up", "job/../../up", "/etc/passwd", "", "job//a", "./a", "..", "\udcff"):
            with pytest.raises(UserError, match="must be a relative UTF-8 path"):
                store.write(key, b"")
            with pytest.raises(UserError, match="must be a relative UTF-8 path"):
                store.upload(tmp_path / "here", key)
            with pytest.raises(UserError, match="must be a relative UTF-8 path"):
                store.read(key)

    def test_restore_brings_back_a_folder(self, store: Store, tmp_path: Path) -> None:
        store.write("job/checkpoints/checkpoint_1/checkpoint-1", b"weights")
        store.write("job/checkpoints/metrics.jsonl", b"{}\n")
        store.write("job/job.json", b"{}")
        restore(store, "job/checkpoints", tmp_path / "checkpoints")
        assert contents(tmp_path) == {
            "checkpoints/checkpoint_1/checkpoint-1": b"weights",
            "checkpoints/metrics.jsonl": b"{}\n",
        }

    def test_mirror_follows_the_directory_while_it_runs(self, store: Store, tmp_path: Path) -> None:
        mirror = Mirror(tmp_path, store, "job/live", interval=0.05)
        mirror.start()
        (tmp_path / "metrics.jsonl").write_text("1\n")
        until(lambda: keys(store, "job/live") == ["job/live/metrics.jsonl"])
        with (tmp_path / "metrics.jsonl").open("a") as file:
            file.write("2\n")
        until(lambda: store.read("job/live/metrics.jsonl") == b"1\n2\n")
        (tmp_path / "beside").write_text("replaced\n")
        os.replace(tmp_path / "beside", tmp_path / "metrics.jsonl")
        until(lambda: store.read("job/live/metrics.jsonl") == b"replaced\n")
        mirror.stop(30)

    def test_mirror_brings_all_at_the_end(self, store: Store, tmp_path: Path) -> None:
        mirror = Mirror(tmp_path, store, "job/live", interval=60)
        mirror.start()
        (tmp_path / "deep").mkdir()
        (tmp_path / "deep" / "last").write_bytes(b"words")
        mirror.stop(30)
        assert store.read("job/live/deep/last") == b"words"

    def test_mirror_leaves_out_what_is_not_whole(self, store: Store, tmp_path: Path) -> None:
        (tmp_path / ".tmp-checkpoint_2").mkdir()
        for name in (".tmp-checkpoint_2/half", ".tmp-half", "half.tmp", "whole"):
            (tmp_path / name).touch()
        (tmp_path / "link").symlink_to("/etc/hostname")
        mirror = Mirror(tmp_path, store, "job/live")
        mirror.start()
        mirror.stop(30)
        assert keys(store) == ["job/live/whole"]

    def test_mirror_brings_the_last_version_of_what_changed_under_it(self, store: Store, tmp_path: Path) -> None:
        mirror = Mirror(tmp_path, store, "job/live", interval=0.05)
        with rewritten(tmp_path, "in place"):
            (tmp_path / "other").write_bytes(b"1")
            mirror.start()
            until(lambda: "job/live/other" in keys(store, "job/live"), 30)
        mirror.stop(30)
        assert store.read("job/live/file") == (tmp_path / "file").read_bytes()

    @pytest.mark.parametrize("delete", [True, False])
    def test_mirror_follows_a_file_that_becomes_a_folder_and_back(
        self, store: Store, tmp_path: Path, delete: bool
    ) -> None:
        mirror = Mirror(tmp_path, store, "job/live", delete, interval=0.05)
        mirror.start()
        (tmp_path / "x").write_bytes(b"file")
        (tmp_path / "y").mkdir()
        (tmp_path / "y" / "below").write_bytes(b"below")
        until(lambda: keys(store) == ["job/live/x", "job/live/y/below"])
        (tmp_path / "x").unlink()
        (tmp_path / "x" / "deep").mkdir(parents=True)
        (tmp_path / "x" / "deep" / "below").write_bytes(b"below")
        (tmp_path / "y" / "below").unlink()
        (tmp_path / "y").rmdir()
        (tmp_path / "y").write_bytes(b"file")
        until(lambda: keys(store) == ["job/live/x/deep/below", "job/live/y"])
        mirror.stop(30)
        assert store.read("job/live/y") == b"file"

    def test_mirror_clears_its_way_of_what_an_earlier_one_brought(self, store: Store, tmp_path: Path) -> None:
        store.write("job/live/x", b"file")
        store.write("job/live/z", b"kept")
        (tmp_path / "x").mkdir()
        (tmp_path / "x" / "below").write_bytes(b"below")
        mirror = Mirror(tmp_path, store, "job/live")
        mirror.start()
        mirror.stop(30)
        assert keys(store) == ["job/live/x/below", "job/live/z"]

    def test_mirror_removes_what_vanished_where_it_is_told_to(self, store: Store, tmp_path: Path) -> None:
        store.write("job/checkpoints/checkpoint_1/weights", b"from an earlier run")
        store.write("job/job.json", b"{}")
        (tmp_path / "checkpoint_2").mkdir()
        (tmp_path / "checkpoint_2" / "weights").write_bytes(b"2")
        mirror = Mirror(tmp_path, store, "job/checkpoints", delete=True, interval=0.05)
        mirror.start()
        until(lambda: keys(store) == ["job/checkpoints/checkpoint_2/weights", "job/job.json"])
        (tmp_path / "checkpoint_2").rename(tmp_path / "checkpoint_3")
        until(lambda: keys(store) == ["job/checkpoints/checkpoint_3/weights", "job/job.json"])
        mirror.stop(30)

    def test_mirror_keeps_what_vanished_where_it_is_not(self, store: Store, tmp_path: Path) -> None:
        (tmp_path / "video.mp4").touch()
        mirror = Mirror(tmp_path, store, "job/live", interval=0.05)
        mirror.start()
        until(lambda: keys(store) == ["job/live/video.mp4"])
        (tmp_path / "video.mp4").unlink()
        mirror.stop(30)
        assert keys(store) == ["job/live/video.mp4"]

    def test_mirror_of_a_directory_that_is_gone_removes_nothing(self, store: Store, tmp_path: Path) -> None:
        store.write("job/checkpoints/weights", b"1")
        mirror = Mirror(tmp_path / "gone", store, "job/checkpoints", delete=True)
        mirror.start()
        mirror.stop(30)
        assert keys(store) == ["job/checkpoints/weights"]

    def test_mirror_names_what_it_could_not_bring(self, store: Store, tmp_path: Path) -> None:
        (tmp_path / "fine").touch()
        (tmp_path / "bad\udcff").touch()
        mirror = Mirror(tmp_path, store, "job/live", interval=0.05)
        mirror.start()
        with pytest.raises(JobError, match="job/live lacks bad"):
            mirror.stop(0.3)
        assert keys(store) == ["job/live/fine"]


def versions_in(content: bytes) -> int:
    """Counts the letters in a file of :func:`rewritten`."""
    return sum(content.count(letter) > 0 for letter in (b"a", b"b", b"c", b"d"))


def contents(directory: Path) -> Dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}
