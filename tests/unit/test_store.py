"""The directory store, and what of the Mirror shows only with a store that can be made to fail."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import List, Tuple

import pytest

from rl_app.errors import JobError, UserError
from rl_app.storage.base import Store
from rl_app.storage.directory import DirectoryStore
from rl_app.storage.mirror import Mirror
from rl_app.storage.opening import open_store
from tests.store_contract import StoreContract, contents, keys
from tests.waiting import until


@pytest.fixture
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return open_store(str(tmp_path_factory.mktemp("store") / "runs"), {})


class TestDirectoryStore(StoreContract):
    pass


def test_opening_makes_nothing(tmp_path: Path) -> None:
    assert open_store(str(tmp_path / "runs"), {}).url == str(tmp_path / "runs")
    assert list(tmp_path.iterdir()) == []


def test_a_relative_path_is_told_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert open_store("runs", {}).url == str(tmp_path / "runs")


def test_a_file_url_is_a_directory(tmp_path: Path) -> None:
    open_store(f"file://{tmp_path}/my%20runs", {}).write("a", b"1")
    assert (tmp_path / "my runs" / "a").read_bytes() == b"1"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("gs://bucket", "must be s3://BUCKET"),
        ("s3://", "bucket '' must be"),
        ("s3://My_Bucket", "bucket 'My_Bucket' must be"),
        ("s3://ab", "bucket 'ab' must be 3 to 63 characters long, and has 2"),
        ("s3://192.168.0.1", r"bucket '192\.168\.0\.1' must be"),
        ("s3://a..b", r"bucket 'a\.\.b' must be"),
        ("s3://bucket/../up", "must be a relative UTF-8 path"),
        ("/dev/null/runs", "/dev/null is not a directory"),
    ],
)
def test_what_is_no_store_is_refused_in_one_line(url: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as refused:
        open_store(url, {})
    assert "\n" not in str(refused.value)


def test_a_directory_that_cannot_be_written_is_refused() -> None:
    as_nobody = (
        "import os; from rl_app.errors import UserError; from rl_app.storage.opening import open_store\n"
        "os.geteuid() or os.setuid(65534)\n"
        "try: open_store('/runs', {})\n"
        "except UserError as error: print(error)"
    )
    said = subprocess.run([sys.executable, "-c", as_nobody], stdout=subprocess.PIPE, text=True, check=True).stdout
    assert said == "store /runs: / is not writable\n"


def test_a_store_that_fails_is_named_with_the_reason(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    (tmp_path / "job").touch()
    with pytest.raises(JobError, match=rf"store {tmp_path}: job/a: (File exists|Not a directory)"):
        store.write("job/a", b"")


def test_work_and_halves_are_not_listed(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    for key in (".work/job/model/policy", "job/.tmp-1234", "job/whole"):
        store.write(key, b"")
    assert keys(store) == ["job/whole"]


def test_empty_folders_go_with_their_last_file(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    store.write("job/checkpoints/checkpoint_1/weights", b"")
    store.write("job/job.json", b"")
    store.delete("job/checkpoints/checkpoint_1/weights")
    assert sorted(path.name for path in (tmp_path / "job").iterdir()) == ["job.json"]


def test_what_root_writes_is_the_owners(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can write as another")
    os.chown(tmp_path, 1234, 1235)
    DirectoryStore(tmp_path / "runs").write("job/job.json", b"{}")
    made = [tmp_path / "runs", tmp_path / "runs/job", tmp_path / "runs/job/job.json"]
    assert {(path.stat().st_uid, path.stat().st_gid) for path in made} == {(1234, 1235)}


def test_killed_in_a_write_leaves_the_old_file_whole(tmp_path: Path) -> None:
    endless = (
        "import pathlib; from rl_app.storage.directory import DirectoryStore; n = 0\n"
        f"store = DirectoryStore(pathlib.Path({str(tmp_path)!r}))\n"
        "while True: n += 1; store.write('state', b'%07d' % n * 500000)"
    )
    writer = subprocess.Popen([sys.executable, "-c", endless])
    for _ in range(2):
        until((tmp_path / "state").exists)
        before = (tmp_path / "state").read_bytes()
        until(lambda before=before: (tmp_path / "state").read_bytes() != before)
    writer.send_signal(signal.SIGKILL)
    writer.wait(10)
    state = (tmp_path / "state").read_bytes()
    assert state == state[:7] * 500000
    assert keys(DirectoryStore(tmp_path)) == ["state"]


class Flaky(DirectoryStore):
    """A directory store that can be away, and notes the uploads in their order."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.away = threading.Event()
        self.uploads: List[str] = []
        self.refused = 0

    def upload(self, path: Path, key: str) -> None:
        if self.away.is_set():
            self.refused += 1
            raise JobError(f"store {self.url}: {key}: away")
        super().upload(path, key)
        self.uploads.append(key)


@pytest.fixture
def flaky(tmp_path: Path) -> Tuple[Flaky, Path]:
    (tmp_path / "live").mkdir()
    return Flaky(tmp_path / "store"), tmp_path / "live"


def test_mirror_outlives_a_store_that_goes_away(flaky: Tuple[Flaky, Path], caplog: pytest.LogCaptureFixture) -> None:
    store, live = flaky
    mirror = Mirror(live, store, "job", interval=0.02)
    mirror.start()
    (live / "a").write_bytes(b"1")
    until(lambda: keys(store) == ["job/a"])
    store.away.set()
    (live / "a").write_bytes(b"22")
    (live / "b").write_bytes(b"1")
    until(lambda: store.refused >= 3)
    store.away.clear()
    until(lambda: len(caplog.records) == 2)
    assert contents(store.root) == {"job/a": b"22", "job/b": b"1"}
    mirror.stop(10)
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 2
    assert "away; trying again" in caplog.records[0].getMessage()
    assert "job is up to date again" in caplog.records[1].getMessage()


def test_mirror_waits_at_its_end_for_a_store_that_comes_back(flaky: Tuple[Flaky, Path]) -> None:
    store, live = flaky
    store.away.set()
    (live / "a").touch()
    mirror = Mirror(live, store, "job", interval=0.02)
    mirror.start()
    threading.Timer(0.3, store.away.clear).start()
    mirror.stop(10)
    assert keys(store) == ["job/a"]


def test_mirror_names_what_a_store_that_stays_away_lacks(flaky: Tuple[Flaky, Path]) -> None:
    store, live = flaky
    store.away.set()
    for number in range(8):
        (live / f"f{number}").touch()
    mirror = Mirror(live, store, "job", interval=0.02)
    mirror.start()
    with pytest.raises(JobError, match=r"job lacks f\d, f\d, f\d, f\d, f\d, 3 more: .*away$"):
        mirror.stop(0.2)


def test_mirror_brings_the_oldest_first(flaky: Tuple[Flaky, Path]) -> None:
    store, live = flaky
    for age, name in enumerate(("best.json", "checkpoint_2", "checkpoint_1", "a")):
        (live / name).touch()
        os.utime(live / name, (1e9 - age, 1e9 - age))
    mirror = Mirror(live, store, "job")
    mirror.start()
    mirror.stop(10)
    assert store.uploads == ["job/a", "job/checkpoint_1", "job/checkpoint_2", "job/best.json"]


def test_mirror_uploads_once_what_does_not_change(flaky: Tuple[Flaky, Path]) -> None:
    store, live = flaky
    (live / "a").touch()
    mirror = Mirror(live, store, "job", interval=0.01)
    mirror.start()
    until(lambda: store.uploads)
    (live / "b").touch()
    until(lambda: "job/b" in store.uploads)
    mirror.stop(10)
    assert store.uploads == ["job/a", "job/b"]


def test_mirror_asks_a_store_that_stays_away_less_and_less(flaky: Tuple[Flaky, Path]) -> None:
    store, live = flaky
    store.away.set()
    (live / "a").touch()
    mirror = Mirror(live, store, "job", interval=0.02)
    began = time.monotonic()
    mirror.start()
    until(lambda: store.refused >= 6)
    assert time.monotonic() - began > 0.02 * (1 + 2 + 4 + 8 + 16)
    store.away.clear()
    mirror.stop(10)
    assert keys(store) == ["job/a"]


def test_mirror_brings_the_others_where_the_store_refuses_one(tmp_path: Path) -> None:
    class Choosy(Flaky):
        def upload(self, path: Path, key: str) -> None:
            if key == "job/first":
                raise JobError(f"store {self.url}: {key}: refused")
            super().upload(path, key)

    store, live = Choosy(tmp_path / "store"), tmp_path / "live"
    live.mkdir()
    for name in ("first", "second"):
        (live / name).touch()
    mirror = Mirror(live, store, "job", interval=0.02)
    mirror.start()
    until(lambda: keys(store) == ["job/second"])
    (live / "third").touch()
    until(lambda: keys(store) == ["job/second", "job/third"])
    with pytest.raises(JobError, match=r"job lacks first: .*refused$"):
        mirror.stop(0.2)


@pytest.mark.parametrize("lost", ["job", "job/a"])
def test_mirror_brings_again_what_the_store_has_lost(flaky: Tuple[Flaky, Path], lost: str) -> None:
    store, live = flaky
    for name in ("a", "b"):
        (live / name).write_text(name)
    mirror = Mirror(live, store, "job", interval=0.02)
    mirror.start()
    until(lambda: keys(store) == ["job/a", "job/b"])
    path = store.root / lost
    shutil.rmtree(str(path)) if path.is_dir() else path.unlink()
    mirror.stop(10)
    assert contents(store.root) == {"job/a": b"a", "job/b": b"b"}


class Meddler(Flaky):
    """Meets each file's first upload with a change to it: half-way for ``grow``, before it for ``vanish``."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.met: List[str] = []

    def upload(self, path: Path, key: str) -> None:
        first = key not in self.met
        self.met.append(key)
        if first and path.name == "vanish":
            path.unlink()
        super().upload(path, key)
        if first and path.name == "grow":
            with path.open("a") as file:
                file.write("more")


def test_mirror_meets_files_that_change_and_vanish_under_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store, live = Meddler(tmp_path / "store"), tmp_path / "live"
    live.mkdir()
    for name in ("grow", "vanish"):
        (live / name).write_text("first ")
    mirror = Mirror(live, store, "job", interval=0.02)
    mirror.start()
    until(lambda: contents(store.root) == {"job/grow": b"first more"})
    mirror.stop(10)
    assert caplog.records == []
