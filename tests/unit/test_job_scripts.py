"""`scripts/fetch`, `scripts/jobs`, `scripts/plot`, `scripts/board`, on a directory store."""

from __future__ import annotations

import fcntl
import gzip
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import tarfile
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Dict, List

import cv2
import pytest

from rl_app.storage.directory import DirectoryStore
from scripts.lib.environments import IMAGE, ROOT, is_current
from tests.made_jobs import LINES, archive, make, script
from tests.pty_run import on_terminal
from tests.store_contract import contents
from tests.waiting import until

FETCHED = {"model/1/saved_model.pb", "model/policy.onnx", "fetched.json"}
OUTPUT = {"metrics.jsonl", "facts.json", "report.html", "videos/iteration-5.mp4"}


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    return DirectoryStore(tmp_path / "store")


def fetch(cwd: Path, *words: str) -> List[str]:
    """What it said; it must have done its work."""
    status, printed, said = script("fetch", *words, "--store", "store", "--into", "into", cwd=cwd)
    assert status == 0, said
    return printed.splitlines()


def refused(cwd: Path, *words: str, command: str = "fetch", status: int = 2) -> str:
    """The one line that it said."""
    left, printed, said = script(command, *words, cwd=cwd)
    assert (left, printed, len(said)) == (status, "", 1), said
    return said[0]


def test_a_job_is_fetched_unpacked(store: DirectoryStore, tmp_path: Path) -> None:
    make(store, "first", Local={"Host": "there"})
    printed = fetch(tmp_path, "first")
    assert contents(tmp_path / "into" / "first").keys() == FETCHED | {f"output/data/{name}" for name in OUTPUT}
    assert printed[-1] == "into/first/output/data/report.html  with 1 video"
    assert printed[0].startswith("into/first/model  2 files")
    note = json.loads((tmp_path / "into" / "first" / "fetched.json").read_text())
    assert (note["TrainingJobStatus"], note["Fetched"]["From"]) == ("Completed", f"{store.url}/first")
    assert "Local" not in note
    assert os.listdir(tmp_path / "into") == ["first"]


def test_a_running_job_is_fetched_as_far_as_it_is_and_again_when_it_has_ended(
    store: DirectoryStore, tmp_path: Path
) -> None:
    make(store, "first", "InProgress")
    fetch(tmp_path, "first")
    live = {f"output/intermediate/{name}" for name in OUTPUT}
    assert contents(tmp_path / "into" / "first").keys() == live | {"fetched.json"}
    make(store, "first")
    fetch(tmp_path, "first")
    assert contents(tmp_path / "into" / "first").keys() == FETCHED | {f"output/data/{name}" for name in OUTPUT}


def test_a_job_of_the_directory_itself_is_unpacked_beside_its_archives(store: DirectoryStore, tmp_path: Path) -> None:
    make(store, "first")
    before = contents(store.root)
    for _ in range(2):
        status, _, said = script("fetch", "first", "--store", "store", "--into", "store", cwd=tmp_path)
        assert status == 0, said
    after = contents(store.root)
    assert {key: after[key] for key in before} == before
    assert after["first/model/policy.onnx"] == b"policy"
    assert after["first/output/data/metrics.jsonl"] == LINES
    assert "first/fetched.json" not in after


def test_an_archive_that_is_no_good_changes_nothing(store: DirectoryStore, tmp_path: Path) -> None:
    make(store, "first")
    fetch(tmp_path, "first")
    before = contents(tmp_path / "into")
    store.write("first/output/output.tar.gz", archive({"../escaped": b"out"}))
    status, printed, said = script("fetch", "first", "--store", "store", "--into", "into", cwd=tmp_path)
    assert (status, printed) == (2, "")
    assert said[-1].startswith(f"{store.root}/first/output/output.tar.gz: '../escaped': leads out")
    store.write("first/output/output.tar.gz", archive({"fine": b"fine"})[:-20])
    status, printed, said = script("fetch", "first", "--store", "store", "--into", "into", cwd=tmp_path)
    assert (status, printed) == (2, "")
    assert "first/output/output.tar.gz: corrupt, or no tar archive: " in said[-1]
    assert contents(tmp_path / "into") == before
    assert os.listdir(tmp_path / "into") == ["first"]


def test_a_disk_that_takes_no_more_changes_nothing(store: DirectoryStore, tmp_path: Path) -> None:
    make(store, "first")
    fetch(tmp_path, "first")
    before = contents(tmp_path / "into")
    store.write("first/output/model.tar.gz", archive({"policy.onnx": bytes(1 << 20)}))
    done = subprocess.run(
        [str(ROOT / "scripts" / "fetch"), "first", "--store", "store", "--into", "into"],
        cwd=tmp_path,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, 1 << 16)),
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert "File too large; nothing was changed" in done.stderr.splitlines()[-1]
    assert contents(tmp_path / "into") == before


def test_what_was_not_fetched_is_not_replaced(store: DirectoryStore, tmp_path: Path) -> None:
    make(store, "first")
    make(DirectoryStore(tmp_path / "into"), "first")
    options = ("first", "--store", "store", "--into", "into")
    assert "a job of this name was made there" in refused(tmp_path, *options)
    (tmp_path / "mine" / "first").mkdir(parents=True)
    assert "was not made by scripts/fetch" in refused(tmp_path, "first", "--store", "store", "--into", "mine")
    assert list((tmp_path / "mine" / "first").iterdir()) == []


def test_what_cannot_be_fetched_is_refused_in_one_line(store: DirectoryStore, tmp_path: Path) -> None:
    store.write("early/job.json", b'{"TrainingJobStatus": "Failed", "FailureReason": "it broke"}')
    options = ("--store", "store", "--into", "into")
    assert "has no model and no output of it (Failed: it broke)" in refused(tmp_path, "early", *options)
    assert "did you mean early?" in refused(tmp_path, "earyl", *options)
    assert 'job name = "../early"' in refused(tmp_path, "../early", *options)
    assert "there is no such directory" in refused(tmp_path, "early", "--store", "nowhere")
    assert "is not a directory" in refused(tmp_path, "early", "--store", "store", "--into", "store/early/job.json")


def test_a_second_fetch_waits_and_clears_up_after_one_that_was_killed(store: DirectoryStore, tmp_path: Path) -> None:
    make(store, "first")
    (tmp_path / "into" / ".tmp-fetch-killed").mkdir(parents=True)
    held = os.open(tmp_path / "into", os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    command = [str(ROOT / "scripts" / "fetch"), "first", "--store", "store", "--into", "into"]
    waiting = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    assert waiting.stderr is not None
    assert "another fetch" in waiting.stderr.readline()
    assert os.listdir(tmp_path / "into") == [".tmp-fetch-killed"]
    os.close(held)
    assert waiting.wait(30) == 0, waiting.stderr.read()
    waiting.stderr.close()
    assert os.listdir(tmp_path / "into") == ["first"]


def test_a_signal_leaves_nothing_half_made(store: DirectoryStore, tmp_path: Path) -> None:
    make(store, "first")
    store.write("first/output/output.tar.gz", slow_archive())
    command = [str(ROOT / "scripts" / "fetch"), "first", "--store", "store", "--into", "into"]
    stopped = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL)
    until(lambda: list((tmp_path / "into").glob(".tmp-fetch-*/job/output/data/large")))
    stopped.send_signal(signal.SIGTERM)
    assert stopped.wait(30) == 143
    assert os.listdir(tmp_path / "into") == []


def slow_archive() -> bytes:
    """An archive of a file that takes seconds to unpack: gzip's parts may follow each other."""
    member = tarfile.TarInfo("large")
    member.size = 8 << 30
    return gzip.compress(member.tobuf()) + gzip.compress(bytes(64 << 20)) * 128


def jobs(cwd: Path) -> List[Dict[str, Any]]:
    status, printed, said = script("jobs", "--store", "store", "--json", cwd=cwd)
    assert (status, said) == (0, [])
    rows: List[Dict[str, Any]] = json.loads(printed)
    return rows


def test_jobs_are_listed_newest_first_with_what_came_of_them(store: DirectoryStore, tmp_path: Path) -> None:
    final = [{"MetricName": "episode_reward_mean", "Value": 475.5}]
    make(store, "old", TrainingTimeInSeconds=75, FinalMetricDataList=final)
    make(store, "broke", "Failed", CreationTime="2026-01-03T00:00:00+00:00", FailureReason="it broke")
    now = datetime.now(timezone.utc).isoformat()
    live = {"CreationTime": now, "TrainingStartTime": now, "LastModifiedTime": now, "Local": {}}
    make(store, "runs", "InProgress", **live)
    make(store, "died", "InProgress", **{**live, "CreationTime": "2026-01-01", "LastModifiedTime": "2026-01-01"})
    rows = jobs(tmp_path)
    assert [row["name"] for row in rows] == ["runs", "broke", "old", "died"]
    assert (rows[0]["reward"], rows[0]["silent"]) == (100, None)
    assert (rows[1]["state"], rows[1]["reason"]) == ("Failed", "it broke")
    assert (rows[2]["reward"], rows[2]["time"], rows[2]["experiment"]) == (475.5, 75, "cartpole")
    assert rows[3]["silent"] > 60
    _, printed, _ = script("jobs", "--store", "store", cwd=tmp_path)
    lines = printed.splitlines()
    assert lines[0].split() == ["name", "state", "experiment", "reward", "time", "started", "store"]
    assert "InProgress, silent for" in lines[4]
    assert "1:15 min" in lines[3] and "475.50" in lines[3]
    assert len({line.index("store") for line in (lines[0], lines[3])}) == 1, "columns are aligned"


def test_jobs_says_what_it_leaves_out_and_where_there_are_none(tmp_path: Path) -> None:
    status, printed, said = script("jobs", cwd=tmp_path, environ={"STORE": str(tmp_path / "runs")})
    assert (status, printed) == (0, "")
    assert "compose store left out: MinIO is not up" in said[0]
    assert said[1] == "no jobs in runs"
    assert "no such directory" in refused(tmp_path, "--store", "nowhere", command="jobs")


def test_jobs_of_a_directory_are_listed_with_nothing_installed(store: DirectoryStore, tmp_path: Path) -> None:
    make(store, "first")
    bare = tmp_path / "bare"
    shutil.copytree(ROOT / "scripts", bare / "scripts", symlinks=True)
    for folder in ("rl_app", "docker"):
        (bare / folder).symlink_to(ROOT / folder)
    for words in (
        ["jobs", "--store", str(store.root)],
        ["experiments"],
        ["fetch", "first", "--store", str(store.root)],
    ):
        done = subprocess.run([str(bare / "scripts" / words[0]), *words[1:]], env={**os.environ, "S3_PORT": "1"})
        assert done.returncode == 0
    assert sorted(path.name for path in bare.iterdir()) == ["docker", "rl_app", "runs", "scripts"]


def test_the_reward_curve_is_drawn_in_the_terminal_and_as_a_picture(store: DirectoryStore, tmp_path: Path) -> None:
    make(store, "first")
    make(store, "second", "InProgress")
    status, printed, said = script("plot", "first", "--store", "store", "-o", "one.png", cwd=tmp_path)
    assert status == 0, said
    assert "goal 95" in printed and "first: 100.00" in printed and "environment steps" in printed
    assert printed.splitlines()[-1] == "one.png"
    assert "\x1b" not in printed
    words = ("first", "second", "--by", "time", "-o", "two.png")
    status, printed, said = script("plot", *words, "--store", "store", cwd=tmp_path)
    assert status == 0, said
    assert "second: 100.00" in printed and "seconds of training" in printed
    one, two = cv2.imread(str(tmp_path / "one.png")), cv2.imread(str(tmp_path / "two.png"))
    assert one.shape == two.shape == (600, 1080, 3)
    assert orange(one) == 0 < orange(two), "the second job's curve"
    assert sorted(os.listdir(tmp_path)) == ["one.png", "store", "two.png"]


@pytest.mark.parametrize(("setting", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)])
def test_a_terminal_gets_colours_unless_it_wants_none(
    setting: Dict[str, str], coloured: bool, store: DirectoryStore, tmp_path: Path
) -> None:
    make(store, "first")
    words = [str(ROOT / "scripts" / "plot"), "first", "--store", "store", "-o", "one.png"]
    shown = on_terminal(words, 80, tmp_path, environ=setting)
    assert shown.status == 0 and "first: 100.00" in shown.raw
    assert ("\x1b" in shown.raw) == coloured


def test_another_metric_is_drawn_and_an_unknown_one_gets_the_nearest_name(
    store: DirectoryStore, tmp_path: Path
) -> None:
    make(store, "first")
    words = ("first", "--store", "store", "-o", "one.png", "--metric")
    status, printed, said = script("plot", *words, "entropy", cwd=tmp_path)
    assert status == 0, said
    assert "entropy" in printed and "first: 0.10" in printed and "goal" not in printed
    refusal = refused(tmp_path, *words, "entropi", command="plot")
    assert refusal.startswith("first: --metric entropi: did you mean entropy? it has entropy, episode_reward_max, ")


def orange(picture: Any) -> int:
    """How many of the picture's pixels (blue, green, red) have the second curve's colour."""
    return int((abs(picture.astype(int) - [14, 127, 255]) < 12).all(axis=2).sum())


def test_what_cannot_be_drawn_is_refused_in_one_line(store: DirectoryStore, tmp_path: Path) -> None:
    make(store, "first")
    make(store, "early", "InProgress")
    store.write("early/output/intermediate/metrics.jsonl", LINES[: LINES.index(b"\n") + 1])
    store.write("program/job.json", b"{}")
    options = ("--store", "store", "-o", "x.png")
    assert "early: no episode has ended yet" in refused(tmp_path, "early", *options, command="plot")
    store.write("early/output/intermediate/metrics.jsonl", b'{"timesteps_total": 1, "date": "x", "entropy": 1.0}\n')
    text = refused(tmp_path, "early", "--metric", "date", *options, command="plot")
    assert text == "early: date has no number to draw; what has one: entropy, timesteps_total"
    assert "program: store has no metrics.jsonl" in refused(tmp_path, "program", *options, command="plot")
    assert "must end with .png" in refused(tmp_path, "first", "--store", "store", "-o", "x.jpg", command="plot")
    taken = refused(tmp_path, "first", "--store", "store", "-o", "store/first/job.json/x.png", command="plot")
    assert "is not a directory" in taken
    assert os.listdir(tmp_path) == ["store"]


def test_a_job_of_sagemakers_is_drawn_from_its_output(store: DirectoryStore, tmp_path: Path) -> None:
    make(store, "first")
    for name in ("metrics.jsonl", "facts.json"):
        store.delete(f"first/output/intermediate/{name}")
    status, printed, said = script("plot", "first", "--store", "store", "-o", "one.png", cwd=tmp_path)
    assert status == 0, said
    assert "goal 475" in printed, "of the experiment"


@pytest.mark.skipif(not is_current(ROOT, [IMAGE]), reason="no .venv: scripts/test makes it")
def test_a_port_that_is_taken_is_refused_by_the_board(store: DirectoryStore, tmp_path: Path) -> None:
    make(store, "first")
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        said = refused(tmp_path, "--store", "store", "--port", port, command="board")
    assert said == f"--port {port}: Address already in use"
    assert "no such directory" in refused(tmp_path, "--store", "nowhere", command="board")
    assert "docker compose up board" in refused(tmp_path, "--store", "s3://rllib", command="board")
