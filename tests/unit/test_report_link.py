"""The line that names a report: a link on a terminal, a path elsewhere, a command where the store is no folder."""

from __future__ import annotations

import io
import os
import pty
from pathlib import Path
from typing import List

import pytest

from rl_app.reports.link import line, newest, unpack
from rl_app.storage.directory import DirectoryStore


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    store = DirectoryStore(tmp_path / "runs")
    store.write("first/output/intermediate/report.html", b"<html>")
    return store


def on_a_terminal(store: DirectoryStore, monkeypatch: pytest.MonkeyPatch) -> List[str]:
    ours, theirs = pty.openpty()
    monkeypatch.setenv("TERM", "xterm-256color")
    with os.fdopen(theirs, "w") as terminal:
        lines = list(line(store, "first", terminal))
    os.close(ours)
    return lines


def test_on_a_terminal_it_is_a_link_of_which_the_path_is_seen(
    store: DirectoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shown = "runs/first/output/intermediate/report.html"
    address = (tmp_path / shown).as_uri()
    assert on_a_terminal(store, monkeypatch) == [f"  report \033]8;;{address}\033\\{shown}\033]8;;\033\\"]


def test_elsewhere_it_is_the_path_alone(store: DirectoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert list(line(store, "first", io.StringIO())) == ["  report runs/first/output/intermediate/report.html"]
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    whole = store.root / "first/output/intermediate/report.html"
    assert list(line(store, "first", io.StringIO())) == [f"  report {whole}"]


def test_it_is_the_path_from_where_it_is_read(store: DirectoryStore, tmp_path: Path) -> None:
    where = [f"  report {name}first/output/intermediate/report.html" for name in ("", "runs/", f"{store.root}/")]
    for folder, expected in zip((store.root, tmp_path, tmp_path / "elsewhere"), where):
        assert list(line(store, "first", io.StringIO(), folder=str(folder))) == [expected]


def test_a_job_without_a_report_has_no_line(store: DirectoryStore) -> None:
    assert list(line(store, "refused", io.StringIO())) == []


def test_an_evaluations_output_is_unpacked_and_its_report_is_the_newest(store: DirectoryStore, tmp_path: Path) -> None:
    output = tmp_path / "output"
    (output / "videos").mkdir(parents=True)
    (output / "report.html").write_text("<html>")
    (output / "videos" / "one.mp4").write_bytes(b"mp4")
    unpack(output, store, "first", timeout_s=10.0)
    home = store.root / "first"
    assert (home / "output/data/videos/one.mp4").read_bytes() == b"mp4"
    os.utime(home / "output/intermediate/report.html", (1, 1))
    assert newest(home) == home / "output/data/report.html"
    os.utime(home / "output/data/report.html", (0, 0))
    assert newest(home) == home / "output/intermediate/report.html"
