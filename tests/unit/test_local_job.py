"""A local job around small programs that play the container, with a directory for a store."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional

import pytest

from rl_app.errors import JobError
from rl_app.local import catching_up, closing, job, record
from tests.container import TRAIN, container
from tests.mounts import disk
from tests.store_contract import contents
from tests.waiting import until


class Lab:
    """A place for jobs: their store, and the environment that they are started in."""

    def __init__(self, root: Path) -> None:
        self.store = root / "runs"
        self.environ: Dict[str, str] = {"PATH": os.environ["PATH"], "STORE": str(self.store)}

    def run(self, code: str, *argv: str, environ: Optional[Mapping[str, str]] = None, grace: float = 5.0) -> int:
        return job.main(["train", *argv], container(code), {**self.environ, **(environ or {})}, grace=grace)

    def start(self, code: str, *argv: str, grace: float = 20.0) -> subprocess.Popen[bytes]:
        """The same in a process of its own, once the job has said that it is ready."""
        main = "import json, sys; from rl_app.local import job as l; sys.exit(l.main(*json.loads(sys.argv[1])))"
        arguments = json.dumps([["train", "--job", "job", *argv], container(code), self.environ, grace])
        process = subprocess.Popen([sys.executable, "-c", main, arguments], stdin=subprocess.PIPE)
        until((self.store / ".work/job/ready").exists)
        return process

    def record(self, name: str = "job") -> Dict[str, Any]:
        record: Dict[str, Any] = json.loads((self.store / name / "job.json").read_text())
        return record

    def edit(self, **changes: Any) -> None:
        (self.store / "job" / "job.json").write_text(json.dumps({**self.record(), **changes}))

    def members(self, archive: str, name: str = "job") -> Dict[str, Optional[bytes]]:
        with tarfile.open(str(self.store / name / "output" / archive)) as tar:
            return {member.name: (tar.extractfile(member) or io.BytesIO()).read() for member in tar}


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


# ---- a job that ends by itself ----


def test_a_job_that_succeeds_leaves_all_in_the_store(lab: Lab, capfd: pytest.CaptureFixture[str]) -> None:
    assert lab.run(TRAIN, "cartpole", "seed=3", "--job", "job") == 0
    record = lab.record()
    assert (record["TrainingJobStatus"], record["SecondaryStatus"]) == ("Completed", "Completed")
    assert record["TrainingJobName"] == "job"
    assert record["HyperParameters"] == {"command": "train", "experiment": "cartpole", "seed": "3"}
    assert record["ModelArtifacts"] == {"S3ModelArtifacts": f"{lab.store}/job/output/model.tar.gz"}
    assert record["StoppingCondition"] == {"MaxRuntimeInSeconds": 86400}
    assert record["Versions"]["python"].startswith("3.")
    assert record["AlgorithmSpecification"] == {"TrainingImage": None}
    assert record["FinalMetricDataList"] == [
        {"MetricName": "episode_reward_mean", "Value": 480.5, "Timestamp": "2020-09-13T12:26:40+00:00"},
        {"MetricName": "episode_reward_max", "Value": 500.0, "Timestamp": "2020-09-13T12:26:40+00:00"},
    ]
    times = [record[key] for key in ("CreationTime", "TrainingStartTime", "TrainingEndTime", "LastModifiedTime")]
    assert times == sorted(times)
    assert all(datetime.fromisoformat(time).utcoffset() == timedelta(0) for time in times)
    assert not {"FailureReason", "Local"} & set(record)
    assert lab.members("model.tar.gz") == {"1": b"", "1/saved_model.pb": b"graph", "policy.onnx": b"policy"}
    assert list(lab.members("output.tar.gz")) == ["metrics.jsonl"]
    assert (lab.store / "job/checkpoints/checkpoint_1/checkpoint-1").read_text() == "weights"
    assert [path.name for path in lab.store.iterdir()] == ["job"]
    said = capfd.readouterr().err
    assert f"job job: its files go to {lab.store}/job\n" in said
    assert re.search(r"^job job: Completed after \d+ s, episode_reward_mean 480\.5$", said, re.MULTILINE)
    assert f"  model  {lab.store}/job/output/model.tar.gz\n" in said


def test_a_job_whose_store_lost_its_source_brings_it_again(lab: Lab, tmp_path: Path) -> None:
    code = tmp_path / "code"
    code.mkdir()
    (code / "envs.py").write_text("ENVS = {}")
    lose = f"import shutil; shutil.rmtree({str(lab.store / 'job' / 'source')!r})\n{TRAIN}"
    assert lab.run(lose, "--source", str(code), "--job", "job") == 0
    assert (lab.store / "job/source/sourcedir.tar.gz").exists()
    assert [path.name for path in lab.store.iterdir()] == ["job"]


def test_a_job_finds_what_it_begins_with_in_the_channel_checkpoint(lab: Lab, capfd: pytest.CaptureFixture[str]) -> None:
    assert lab.run(TRAIN, "--job", "first") == 0
    see = """
channel = base / "input/data/checkpoint"
put("output/data/seen.json", json.dumps([
    [path.name for path in channel.iterdir()], json.loads((base / "input/config/inputdataconfig.json").read_text()),
]))
"""
    assert lab.run(see, "--from", "first", "--job", "job") == 0
    assert json.loads(lab.members("output.tar.gz")["seen.json"] or b"") == [
        ["model.tar.gz"],
        {"checkpoint": {"TrainingInputMode": "File"}},
    ]
    (channel,) = lab.record()["InputDataConfig"]
    assert channel["ChannelName"] == "checkpoint"
    assert channel["DataSource"]["S3DataSource"]["S3Uri"] == f"{lab.store}/first/output/model.tar.gz"
    assert lab.run("", "--from", "fisrt", "--job", "other") == 2
    assert "fisrt: no job of" in capfd.readouterr().err and not (lab.store / "other").exists()


def test_the_container_sees_what_sagemaker_shows_it(lab: Lab) -> None:
    see = """
config = {file.name: json.loads(file.read_text()) for file in (base / "input/config").iterdir()}
folders = sorted(str(path.relative_to(base)) for path in base.rglob("*") if path.is_dir())
put("output/data/seen.json", json.dumps([config, folders, os.environ["TRAINING_JOB_NAME"], str(base)]))
"""
    assert lab.run(see, "config.lr=0.001", "--job", "job", environ={"RL_IMAGE": "ours:1"}) == 0
    config, folders, job, base = json.loads(lab.members("output.tar.gz")["seen.json"] or b"")
    assert config == {
        "hyperparameters.json": {
            "command": "train",
            "experiment": "cartpole",
            "rl.training.config.lr": "0.001",
            "sagemaker_s3_output": str(lab.store),
        },
        "inputdataconfig.json": {},
        "resourceconfig.json": {
            "current_host": "localhost",
            "hosts": ["localhost"],
            "network_interface_name": "lo",
        },
    }
    laid_out = {"input/data", "model", "output/data", "output/intermediate", "checkpoints"}
    assert laid_out <= set(folders)
    assert (job, base) == ("job", str(lab.store / ".work/job"))
    assert lab.record()["AlgorithmSpecification"] == {"TrainingImage": "ours:1"}


def test_a_job_has_no_terminal_to_read_from(lab: Lab) -> None:
    process = lab.start("assert sys.stdin.read() == ''; put('ready'); wait()")
    process.terminate()
    assert process.wait(10) == 143


def test_nothing_to_pack_makes_no_archive(lab: Lab) -> None:
    assert lab.run("put('model/.tmp-half')", "--job", "job") == 0
    assert sorted(contents(lab.store)) == ["job/job.json"]
    assert "ModelArtifacts" not in lab.record()


def test_archives_name_no_user_and_are_sorted(lab: Lab) -> None:
    assert lab.run("[put(f'model/{name}') for name in 'cab']", "--job", "job") == 0
    with tarfile.open(str(lab.store / "job/output/model.tar.gz")) as tar:
        members = tar.getmembers()
    assert [member.name for member in members] == ["a", "b", "c"]
    assert {(member.uid, member.gid, member.uname, member.gname) for member in members} == {(0, 0, "", "")}


def test_checkpoints_are_in_the_store_while_the_job_runs(lab: Lab) -> None:
    process = lab.start("put('checkpoints/checkpoint_1/weights'); wait()")
    until((lab.store / "job/checkpoints/checkpoint_1/weights").exists)
    record = lab.record()
    assert (record["TrainingJobStatus"], record["SecondaryStatus"]) == ("InProgress", "Training")
    assert str(process.pid) in record["Local"]["Processes"]
    process.terminate()
    assert process.wait(10) == 143


def test_a_job_that_runs_shows_that_it_is_alive(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "HEARTBEAT_S", 0.05)
    watch = f"""
job, seen, end = pathlib.Path({str(lab.store)!r}, "job", "job.json"), set(), time.monotonic() + 10
while len(seen) < 4 and time.monotonic() < end:
    seen.add(json.loads(job.read_text())["LastModifiedTime"])
sys.exit(len(seen) < 4)
"""
    assert lab.run(watch, "--job", "job") == 0


def test_a_job_that_fails_leaves_what_it_had_and_its_reason(lab: Lab, capfd: pytest.CaptureFixture[str]) -> None:
    fail = TRAIN + "put('output/failure', 'RuntimeError: it broke'); sys.exit(7)"
    assert lab.run(fail, "--job", "job") == 1
    record = lab.record()
    assert (record["TrainingJobStatus"], record["SecondaryStatus"]) == ("Failed", "Failed")
    assert record["FailureReason"] == "RuntimeError: it broke"
    assert list(lab.members("output.tar.gz")) == ["metrics.jsonl"]
    assert (lab.store / "job/checkpoints/checkpoint_1/checkpoint-1").exists()
    said = capfd.readouterr().err
    assert "  why    RuntimeError: it broke\n" in said
    assert "  next   scripts/train --resume job " in said


@pytest.mark.parametrize(
    ("code", "status", "reason"),
    [
        (
            "put('output/failure', 'seed = x: must be an integer'); sys.exit(2)",
            2,
            "seed = x: must be an integer",
        ),
        ("put('output/failure', 'y' * 2000); sys.exit(1)", 1, "y" * 1024),
        ("sys.exit(3)", 1, "exit status 3, and no reason given"),
        ("os.kill(os.getpid(), signal.SIGKILL)", 1, "ended by SIGKILL, as for want of memory"),
        ("os.kill(os.getpid(), signal.SIGTERM)", 1, "ended by SIGTERM"),
    ],
)
def test_how_a_job_failed_is_told(lab: Lab, code: str, status: int, reason: str) -> None:
    assert lab.run(code, "--job", "job") == status
    assert (lab.record()["TrainingJobStatus"], lab.record()["FailureReason"]) == ("Failed", reason)


def test_a_command_that_is_not_there_is_a_failed_job(lab: Lab) -> None:
    assert job.main(["train", "--job", "job"], ["/no/such/train"], lab.environ) == 1
    assert lab.record()["TrainingJobStatus"] == "Failed"
    assert "/no/such/train" in lab.record()["FailureReason"]
    assert [path.name for path in lab.store.iterdir()] == ["job"]


def test_what_a_job_leaves_running_ends_with_it(lab: Lab) -> None:
    leave = "print(subprocess.Popen(['sleep', '300']).pid, file=open(base / 'output/data/pid', 'w'))"
    assert lab.run(leave, "--job", "job") == 0
    pid = int(lab.members("output.tar.gz")["pid"] or b"")
    until(lambda: not runs(pid))


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


# ---- stopping ----


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_stop_that_is_obeyed(lab: Lab, number: int, status: int) -> None:
    process = lab.start("on_sigterm(lambda: (put('model/policy', 'saved'), sys.exit(0))); wait()")
    process.send_signal(number)
    assert process.wait(10) == status
    record = lab.record()
    assert (record["TrainingJobStatus"], record["SecondaryStatus"]) == ("Stopped", "Stopped")
    assert "FailureReason" not in record
    assert lab.members("model.tar.gz") == {"policy": b"saved"}
    assert [path.name for path in lab.store.iterdir()] == ["job"]


def test_a_job_that_ignores_sigterm_is_killed_with_all_it_started(lab: Lab) -> None:
    stubborn = """
signal.signal(signal.SIGTERM, signal.SIG_IGN)
put("checkpoints/weights"); put("pid", str(subprocess.Popen(["sleep", "300"]).pid)); wait()
"""
    process = lab.start(stubborn, grace=0.5)
    pid = int((lab.store / ".work/job/pid").read_text())
    process.terminate()
    assert process.wait(10) == 143
    assert lab.record()["TrainingJobStatus"] == "Stopped"
    assert lab.record()["FailureReason"].startswith("killed: it had not ended after SIGTERM")
    assert (lab.store / "job/checkpoints/weights").exists()
    until(lambda: not runs(pid))


def test_a_second_ctrl_c_kills_at_once(lab: Lab) -> None:
    process = lab.start("on_sigterm(lambda: put('told')); wait()", grace=60)
    process.send_signal(signal.SIGINT)
    until((lab.store / ".work/job/told").exists)
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == 130
    assert lab.record()["FailureReason"] == "killed by Ctrl-C; what it had not written is lost"


def test_a_signal_is_passed_on_once(lab: Lab) -> None:
    count = "told = []; on_sigterm(lambda: (told.append(1), put(f'output/data/told{len(told)}'))); wait()"
    process = lab.start(count, grace=1)
    process.terminate()
    until((lab.store / ".work/job/output/data/told1").exists)
    process.terminate()
    assert process.wait(10) == 143
    assert list(lab.members("output.tar.gz")) == ["told1"]


def test_max_run_stops_the_job(lab: Lab) -> None:
    process = lab.start("on_sigterm(lambda: sys.exit(0)); wait()", "max_run=1")
    assert process.wait(10) == 143
    record = lab.record()
    assert (record["TrainingJobStatus"], record["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")
    assert record["StoppingCondition"] == {"MaxRuntimeInSeconds": 1}
    assert record["TrainingTimeInSeconds"] == 1


def test_a_job_that_fails_while_it_stops_has_failed(lab: Lab) -> None:
    process = lab.start("on_sigterm(lambda: (put('output/failure', 'disk full'), sys.exit(1))); wait()")
    process.terminate()
    assert process.wait(10) == 1
    assert (lab.record()["TrainingJobStatus"], lab.record()["FailureReason"]) == ("Failed", "disk full")


def test_a_signal_while_it_uploads_does_not_cut_the_upload(lab: Lab) -> None:
    process = lab.start("put('ready'); (base / 'model/big').write_bytes(os.urandom(40 << 20))")
    until(lambda: list((lab.store / ".work/job").glob(".tmp-*/model.tar.gz")))
    process.terminate()
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 0
    assert lab.record()["TrainingJobStatus"] == "Completed"
    assert len(lab.members("model.tar.gz")["big"] or b"") == 40 << 20


def test_a_job_ends_when_the_one_who_plays_sagemaker_is_killed(lab: Lab) -> None:
    process = lab.start("on_sigterm(lambda: sys.exit(0)); put('pid', str(os.getpid())); wait()")
    pid = int((lab.store / ".work/job/pid").read_text())
    process.kill()
    process.wait(10)
    until(lambda: not runs(pid))


# ---- going on ----


def test_a_stopped_job_goes_on_from_its_checkpoints(lab: Lab) -> None:
    process = lab.start(
        "put('checkpoints/checkpoint_1/weights', '1'); put('model/policy', 'old'); wait()",
        "cartpole-aws",
        "seed=1",
        "config.lr=0.1",
    )
    process.terminate()
    assert process.wait(10) == 143
    created = lab.record()["CreationTime"]
    go_on = """
assert (base / "checkpoints/checkpoint_1/weights").read_text() == "1"
put("checkpoints/checkpoint_2/weights", "2"); (base / "checkpoints/checkpoint_1/weights").unlink()
"""
    environ = {"EXPERIMENT": "cartpole", "JOB": ""}
    assert lab.run(go_on, "--resume", "job", "seed=2", environ=environ) == 0
    record = lab.record()
    assert record["TrainingJobStatus"] == "Completed"
    assert record["CreationTime"] == created < record["TrainingStartTime"]
    assert record["HyperParameters"] == {
        "command": "train",
        "experiment": "cartpole-aws",
        "rl.training.config.lr": "0.1",
        "seed": "2",
    }
    kept = contents(lab.store / "job/checkpoints")
    assert kept == {"checkpoint_2/weights": b"2"}
    assert record["ModelArtifacts"] == {"S3ModelArtifacts": f"{lab.store}/job/output/model.tar.gz"}
    assert lab.members("model.tar.gz") == {"policy": b"old"}


def test_a_failed_job_that_goes_on_and_completes_gives_no_reason_any_more(lab: Lab) -> None:
    assert lab.run("sys.exit(3)", "--job", "job") == 1
    assert lab.run("", "--resume", "job") == 0
    assert "FailureReason" not in lab.record()


def test_a_job_whose_processes_were_killed_goes_on(lab: Lab) -> None:
    process = lab.start("put('checkpoints/weights', '1'); put('pid', str(os.getpid())); wait()")
    until((lab.store / "job/checkpoints/weights").exists)
    until(lambda: len(lab.record()["Local"]["Processes"]) == 2)
    pid = int((lab.store / ".work/job/pid").read_text())
    process.kill()
    process.wait(10)
    until(lambda: not runs(pid))
    assert lab.record()["TrainingJobStatus"] == "InProgress"
    assert lab.run("assert (base / 'checkpoints/weights').read_text() == '1'", "--resume", "job") == 0
    assert lab.record()["TrainingJobStatus"] == "Completed"
    assert [path.name for path in lab.store.iterdir()] == ["job"]


def killed(lab: Lab, code: str) -> None:
    """A job whose own process, and the one that plays SageMaker, were killed at once."""
    process = lab.start(f"put('checkpoints/1/weights', 'one'); {code}; put('pid', str(os.getpid())); wait()")
    until(lambda: len(lab.record()["Local"]["Processes"]) == 2)
    pid = int((lab.store / ".work/job/pid").read_text())
    with process:
        process.kill()
    until(lambda: not runs(pid))


def test_a_killed_job_goes_on_from_what_it_had_not_uploaded(lab: Lab, capfd: pytest.CaptureFixture[str]) -> None:
    killed(lab, "put('checkpoints/2/weights', 'two')")
    shutil.rmtree(lab.store / "job/checkpoints", ignore_errors=True)
    work = lab.store / ".work/job"
    assert lab.run("assert (base / 'checkpoints/2/weights').read_text() == 'two'", "--resume", "job") == 0
    first = f"job job: the checkpoints that are still in {work}/checkpoints go to the store first\n"
    assert first in capfd.readouterr().err
    assert contents(lab.store / "job/checkpoints") == {"1/weights": b"one", "2/weights": b"two"}


def test_a_killed_job_that_went_on_elsewhere_goes_on_from_there(lab: Lab, tmp_path: Path) -> None:
    killed(lab, "pass")
    elsewhere = ("--resume", "job", "--work", str(tmp_path / "ml"))
    assert lab.run("put('checkpoints/1/weights', 'later'); sys.exit(1)", *elsewhere) == 1
    assert lab.run("assert (base / 'checkpoints/1/weights').read_text() == 'later'", "--resume", "job") == 0


def test_a_store_that_does_not_take_what_a_killed_job_left_leaves_all_as_it_was(
    lab: Lab, capfd: pytest.CaptureFixture[str]
) -> None:
    killed(lab, "put('checkpoints/2/weights', 'two')")
    before, work = lab.record(), lab.store / ".work/job"
    shutil.rmtree(lab.store / "job/checkpoints", ignore_errors=True)
    (lab.store / "job/checkpoints").touch()
    assert lab.run("", "--resume", "job", grace=0.3) == 1
    said = capfd.readouterr().err
    assert "/job/checkpoints lacks 1/weights, 2/weights: " in said and said.endswith(f"; {work} stays\n"), said
    assert (work / "checkpoints/2/weights").read_text() == "two" and lab.record() == before


def test_going_on_that_fails_at_its_start_loses_nothing(lab: Lab, capfd: pytest.CaptureFixture[str]) -> None:
    killed(lab, "put('checkpoints/2/weights', 'two')")
    shutil.rmtree(lab.store / "job/checkpoints", ignore_errors=True)
    archive = lab.store / "job/source/sourcedir.tar.gz"
    archive.parent.mkdir()
    archive.write_text("no archive")
    assert lab.run("", "--resume", "job") != 0
    assert lab.record()["TrainingJobStatus"] == "Failed" and "sourcedir.tar.gz" in capfd.readouterr().err
    archive.unlink()
    assert lab.run("assert (base / 'checkpoints/2/weights').read_text() == 'two'", "--resume", "job") == 0


def test_a_job_that_runs_does_not_go_on(lab: Lab, capfd: pytest.CaptureFixture[str]) -> None:
    process = lab.start("wait()")
    until(lambda: len(lab.record()["Local"]["Processes"]) == 2)
    assert lab.run("", "--resume", "job") == 2
    assert f"--resume job: it is still running, as process {process.pid}, " in capfd.readouterr().err
    process.terminate()
    assert process.wait(10) == 143


AT_ONCE = """
import json, pathlib, sys, time
from rl_app.local import job
arguments, go = json.loads(sys.argv[1]), pathlib.Path(sys.argv[2])
go.with_name(f"{sys.argv[3]} is ready").touch()
while not go.exists():
    time.sleep(0.001)
sys.exit(job.main(*arguments))
"""


def test_of_several_that_go_on_with_a_job_at_once_one_does(lab: Lab, tmp_path: Path) -> None:
    assert lab.run("sys.exit(3)", "--job", "job") == 1
    run = "put(f'../../../run-{os.getpid()}'); wait()"
    arguments = json.dumps([["train", "--resume", "job"], container(run), lab.environ, 5.0])
    go = tmp_path / "go"
    all_of_them = [
        subprocess.Popen([sys.executable, "-c", AT_ONCE, arguments, str(go), str(number)]) for number in range(4)
    ]
    try:
        until(lambda: len(list(tmp_path.glob("* is ready"))) == len(all_of_them))
        go.touch()
        until(lambda: sum(process.poll() is None for process in all_of_them) == 1)
        until((lab.store / ".work/job/ready").exists)
        assert len(list(tmp_path.glob("run-*"))) == 1
    finally:
        for process in all_of_them:
            process.terminate()
        statuses = sorted(process.wait(20) for process in all_of_them)
    assert statuses == [2, 2, 2, 143]
    assert lab.record()["TrainingJobStatus"] == "Stopped"


def test_another_process_with_the_number_of_a_dead_one_is_not_the_job(lab: Lab) -> None:
    process = lab.start("wait()")
    until(lambda: len(lab.record()["Local"]["Processes"]) == 2)
    local = lab.record()["Local"]
    process.terminate()
    assert process.wait(10) == 143
    lab.edit(TrainingJobStatus="InProgress", Local={**local, "Processes": {str(os.getpid()): "0"}})
    assert lab.run("", "--resume", "job") == 0


@pytest.mark.parametrize(("age", "status", "said"), [(5, 2, "try again in"), (3600, 0, "Completed")])
def test_a_job_of_another_machine_has_ended_when_it_is_silent(
    lab: Lab, capfd: pytest.CaptureFixture[str], age: int, status: int, said: str
) -> None:
    assert lab.run("", "--job", "job") == 0
    lab.edit(
        TrainingJobStatus="InProgress",
        LastModifiedTime=(datetime.now(timezone.utc) - timedelta(seconds=age)).isoformat(),
        Local={"Host": "another", "Space": "elsewhere/1", "Processes": {"1": "1"}},
    )
    capfd.readouterr()
    assert lab.run("", "--resume", "job") == status
    assert said in capfd.readouterr().err


# ---- refused ----


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["cartpool"], "cartpole"),
        (["config.lrr=1"], "lr"),
        (["seed=many"], "seed"),
        (["cartpole", "cartpole-aws"], "cartpole-aws"),
        (["seed=1", "seed=2"], "seed"),
        (["command=evaluate"], "command"),
        (["--job", "under_score"], "under_score"),
        (["--job", "a" * 64], "a" * 64),
        (["--store", "gs://bucket"], "gs://bucket"),
        (["--store", "/dev/null/runs"], "/dev/null"),
        (["--resume", "nobody"], "has no job of this name"),
        (["--resume", "../up"], "../up"),
    ],
)
def test_refused_in_one_line_and_nothing_is_made(
    lab: Lab, tmp_path: Path, capfd: pytest.CaptureFixture[str], argv: List[str], message: str
) -> None:
    assert lab.run("", *argv) == 2
    said = capfd.readouterr().err
    assert message in said
    assert said.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_goes_with_its_container_is_no_store(lab: Lab, capfd: pytest.CaptureFixture[str]) -> None:
    assert lab.run("", environ={"RL_WORK_VOLUME": "clone_jobs"}) == 2
    said = f"store {lab.store}: a directory of this container, which goes with it; "
    said += "STORE, which `.env` may set too, has to be s3://BUCKET[/PREFIX] here\n"
    assert capfd.readouterr().err == said
    assert not lab.store.exists()
    with disk(lab.store.parent / "volume", "40m") as volume:
        environ = {"RL_WORK_VOLUME": "clone_jobs", "STORE": str(volume / "runs")}
        assert lab.run("", "--job", "job", environ=environ) == 0


def test_a_typo_is_told_before_a_store_is_asked_for(lab: Lab, capfd: pytest.CaptureFixture[str]) -> None:
    environ = {"STORE": "s3://bucket", "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:1"}
    assert lab.run("", "sead=1", environ=environ) == 2
    assert "sead" in capfd.readouterr().err


@pytest.mark.parametrize("hyperparameters", ["seed", "'seed=1", "{seed: 1}", '{"seed": 1'])
def test_hyperparameters_of_the_environment_that_cannot_be_read(
    lab: Lab, capfd: pytest.CaptureFixture[str], hyperparameters: str
) -> None:
    assert lab.run("", environ={"HYPERPARAMETERS": hyperparameters}) == 2
    said = capfd.readouterr().err
    assert hyperparameters in said
    assert said.count("\n") == 1
    assert not lab.store.exists()


def test_a_name_in_use_is_refused_and_left_alone(lab: Lab, capfd: pytest.CaptureFixture[str]) -> None:
    assert lab.run(TRAIN, "--job", "job") == 0
    before = contents(lab.store)
    assert lab.run("put('model/other')", "--job", "job") == 2
    assert f"--job job: {lab.store} has a job of this name already; take another, or" in capfd.readouterr().err
    assert contents(lab.store) == before


@pytest.mark.parametrize("file", ["fetched.json", "output/model.tar.gz"])
def test_a_name_under_which_another_has_files_is_refused(
    file: str, lab: Lab, capfd: pytest.CaptureFixture[str]
) -> None:
    (lab.store / "job" / file).parent.mkdir(parents=True)
    (lab.store / "job" / file).write_bytes(b"another's")
    before = contents(lab.store)
    assert lab.run("put('model/other')", "--job", "job") == 2
    said = f"--job job: {lab.store} has files of this name that are no job's of here, such as job/{file}; take another"
    assert said in capfd.readouterr().err
    assert contents(lab.store) == before


def test_a_completed_job_goes_on_where_its_stop_condition_is_raised(
    lab: Lab, capfd: pytest.CaptureFixture[str]
) -> None:
    row = {"training_iteration": 3, "timesteps_total": 12000, "episode_reward_mean": 480.5}
    assert lab.run(f"put('checkpoints/metrics.jsonl', {json.dumps(row) + chr(10)!r})", "cartpole", "--job", "job") == 0
    assert lab.run("", "--resume", "job") == 2
    assert lab.run("", "--resume", "job", "stop.timesteps_total=900000") == 2
    refused = (
        "--resume job: it is Completed, with episode_reward_mean 480.5 of 475; "
        "it goes on where that is raised, as by a stop.episode_reward_mean of more than 480.5\n"
    )
    assert capfd.readouterr().err.count(refused) == 2
    assert lab.run("", "--resume", "job", "stop.episode_reward_mean=490") == 0
    assert lab.record()["HyperParameters"]["rl.training.stop.episode_reward_mean"] == "490"


def test_an_interruption_is_rehearsed_and_the_job_goes_on_by_itself(
    lab: Lab, capfd: pytest.CaptureFixture[str]
) -> None:
    twice = """
if (base / "checkpoints/checkpoint_1/weights").exists():
    put("model/policy.json")
else:
    put("checkpoints/checkpoint_1/weights"); put("model/left-behind"); wait()
"""
    assert lab.run(twice, "--interrupt-after", "1s", "--job", "job") == 0
    assert lab.record()["TrainingJobStatus"] == "Completed"
    assert sorted(lab.members("model.tar.gz")) == ["policy.json"], "what it goes on in is a fresh /opt/ml"
    said = capfd.readouterr().err
    assert "--interrupt-after (1 s) is over: the job has" in said
    first, _, second = said.partition(
        "job job: it goes on by itself, in a fresh /opt/ml, as after a spot interruption\n"
    )
    assert "job job: Stopped after" in first and "next" not in first
    assert "job job: Completed after" in second


def test_a_job_that_ends_before_its_interruption_has_none(lab: Lab, capfd: pytest.CaptureFixture[str]) -> None:
    assert lab.run(TRAIN, "--interrupt-after", "600", "--job", "job") == 0
    assert "goes on" not in capfd.readouterr().err


def test_a_signal_before_the_interruption_stops_the_job(lab: Lab) -> None:
    process = lab.start("put('ready'); wait()", "--interrupt-after", "600")
    process.terminate()
    assert process.wait(30) == 143
    assert lab.record()["SecondaryStatus"] == "Stopped"


def test_a_completed_program_does_not_go_on(lab: Lab, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "main.py").touch()
    assert lab.run("", "--program", str(tmp_path / "main.py"), "--job", "job") == 0
    assert lab.run("", "--resume", "job") == 2
    assert "--resume job: it is Completed; only a Stopped or Failed program goes on" in capfd.readouterr().err


def test_a_job_does_not_go_on_as_another_experiment(lab: Lab, capfd: pytest.CaptureFixture[str]) -> None:
    assert lab.run("sys.exit(1)", "cartpole", "--job", "job") == 1
    assert lab.run("", "cartpole-aws", "--resume", "job") == 2
    assert "goes on with its own experiment, cartpole\n" in capfd.readouterr().err
    assert lab.record()["TrainingJobStatus"] == "Failed"


# ---- names and settings ----


def test_jobs_of_the_same_second_have_names_of_their_own(lab: Lab) -> None:
    assert [lab.run("", "cartpole-aws") for _ in range(3)] == [0, 0, 0]
    names = [path.name for path in lab.store.iterdir()]
    assert len(names) == 3
    assert all(name.startswith(f"cartpole-aws-{datetime.now(timezone.utc):%Y-}") for name in names)


def test_settings_come_from_the_environment(lab: Lab) -> None:
    environ = {"EXPERIMENT": "cartpole-aws", "HYPERPARAMETERS": "seed=3 'config.lr=0.1'", "JOB": "job"}
    assert lab.run("", environ=environ) == 0
    assert lab.record()["HyperParameters"] == {
        "command": "train",
        "experiment": "cartpole-aws",
        "seed": "3",
        "rl.training.config.lr": "0.1",
    }


def test_hyperparameters_of_the_environment_may_be_json(lab: Lab) -> None:
    values = {"seed": 3, "config.lr": "1e-4", "config.model": {"fcnet_hiddens": [64]}}
    assert lab.run("", "--job", "job", environ={"HYPERPARAMETERS": json.dumps(values)}) == 0
    assert lab.record()["HyperParameters"] == {
        "command": "train",
        "experiment": "cartpole",
        "seed": "3",
        "rl.training.config.lr": "1e-4",
        "rl.training.config.model": '{"fcnet_hiddens": [64]}',
    }


def test_arguments_go_before_the_environment(lab: Lab, tmp_path: Path) -> None:
    environ = {"EXPERIMENT": "cartpole-aws", "HYPERPARAMETERS": "seed=3", "JOB": "env", "STORE": "gs://no"}
    argv = ["--store", str(lab.store), "seed=4", "cartpole", "--job", "job"]
    assert lab.run("", *argv, environ=environ) == 0
    assert lab.record()["HyperParameters"] == {"command": "train", "experiment": "cartpole", "seed": "4"}


def test_empty_settings_are_none(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = ("EXPERIMENT", "HYPERPARAMETERS", "JOB", "STORE", "SAGEMAKER_BASE_DIR", "RL_IMAGE")
    assert lab.run("", environ=dict.fromkeys(names, "")) == 0
    (job,) = (tmp_path / "runs").iterdir()
    assert job.name.startswith("cartpole-2")


def test_help_shows_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        job.main(["train", "--help"])
    assert left.value.code == 0
    assert "local train cartpole config.lr=0.001" in capsys.readouterr().out


# ---- where it works, and a store that fails ----


def test_a_given_base_directory_is_used_and_left_empty(lab: Lab, tmp_path: Path) -> None:
    base = tmp_path / "ml"
    (base / "input/data/channel").mkdir(parents=True)
    environ = {"SAGEMAKER_BASE_DIR": str(base)}
    assert lab.run(TRAIN, "--job", "job", environ=environ) == 0
    assert lab.run("assert not any((base / 'model').iterdir())", "--job", "next", environ=environ) == 0
    assert contents(base) == {}
    assert (base / "input/data/channel").is_dir()
    assert lab.members("model.tar.gz")["policy.onnx"] == b"policy"


def test_a_base_directory_that_a_killed_job_left_is_emptied(lab: Lab, tmp_path: Path) -> None:
    base = tmp_path / "ml"
    for name in ("input/config/hyperparameters.json", "checkpoints/checkpoint_9/weights"):
        (base / name).parent.mkdir(parents=True)
        (base / name).write_text("{}")
    assert lab.run("put('model/a')", "--job", "job", "--work", str(base)) == 0
    assert "checkpoints" not in os.listdir(lab.store / "job")


def test_a_base_directory_with_files_of_something_else_is_refused(
    lab: Lab, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine" / "model").mkdir(parents=True)
    (tmp_path / "mine" / "model" / "thesis.tex").touch()
    assert lab.run("", "--work", str(tmp_path / "mine")) == 2
    assert "model holds files of something else" in capfd.readouterr().err
    assert (tmp_path / "mine/model/thesis.tex").exists()
    assert not lab.store.exists()


def test_what_could_not_be_uploaded_is_kept_and_the_job_has_failed(
    lab: Lab, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    base = tmp_path / "ml"
    in_the_way = TRAIN + f"pathlib.Path({str(lab.store)!r}, 'job', 'output').touch()"
    assert lab.run(in_the_way, "--job", "job", "--work", str(base), grace=0.3) == 1
    record = lab.record()
    assert record["TrainingJobStatus"] == "Failed"
    assert record["FailureReason"].startswith(f"not uploaded: {lab.store}/job/output lacks ")
    assert "ModelArtifacts" not in record
    assert (base / "model/policy.onnx").read_text() == "policy"
    assert f"  kept   {base}, for it holds what is not in the store\n" in capfd.readouterr().err
    assert lab.run("", "--job", "next", "--work", str(base)) == 2
    assert "holds what job job could not upload" in capfd.readouterr().err
    assert (base / "model/policy.onnx").exists()


AWAY = TRAIN + "store = pathlib.Path(os.environ['STORE']); (store / 'job/output').touch()"
"""Trains, and leaves its store unable to take what is at the end."""


def upload(lab: Lab, *argv: str, deadline: float = 5.0) -> int:
    """Brings what is kept of a job to its store."""
    return catching_up.main(["job", *argv], lab.environ, deadline)


def test_what_is_kept_is_brought_to_the_store_once_it_is_back(lab: Lab, capfd: pytest.CaptureFixture[str]) -> None:
    assert lab.run(AWAY, "seed=3", "--job", "job", grace=0.3) == 1
    base, said = lab.store / ".work/job", capfd.readouterr().err
    assert f"  kept   {base}, for it holds what is not in the store\n" in said
    assert f"  next   scripts/upload job --engine process --store {lab.store}  " in said
    assert lab.run("", "--resume", "job") == 2
    assert f"{base}: holds what job job could not upload; `scripts/upload job` " in capfd.readouterr().err
    assert upload(lab, deadline=0.5) == 1
    assert "not uploaded: " in capfd.readouterr().err and (base / "model/policy.onnx").exists()
    assert lab.record()["TrainingJobStatus"] == "Failed"
    (lab.store / "job/output").unlink()
    assert upload(lab) == 0
    assert f"job job: all of it is in {lab.store}/job; Completed\n" in capfd.readouterr().err
    record = lab.record()
    assert (record["TrainingJobStatus"], "FailureReason" in record) == ("Completed", False)
    assert record["ModelArtifacts"] == {"S3ModelArtifacts": f"{lab.store}/job/output/model.tar.gz"}
    assert lab.members("model.tar.gz")["policy.onnx"] == b"policy" and lab.members("output.tar.gz")
    assert [path.name for path in lab.store.iterdir()] == ["job"]
    assert upload(lab) == 2
    assert "job: nothing that is not in its store is kept in " in capfd.readouterr().err


def test_what_is_kept_is_not_brought_over_a_job_that_went_on_elsewhere(
    lab: Lab, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    base = str(tmp_path / "ml")
    assert lab.run(AWAY, "--job", "job", "--work", base, grace=0.3) == 1
    assert f"  next   python -m rl_app local upload job --store {lab.store} --work {base}  " in capfd.readouterr().err
    (lab.store / "job/output").unlink()
    assert lab.run("put('model/policy.onnx', 'later')", "--resume", "job") == 0
    assert upload(lab, "--work", base) == 2
    assert f"job: {lab.store} has it as it went on later, " in capfd.readouterr().err
    assert lab.members("model.tar.gz") == {"policy.onnx": b"later"}


def test_what_is_kept_is_brought_where_the_store_was_made_anew(lab: Lab, tmp_path: Path) -> None:
    base, gone = tmp_path / "ml", "store = pathlib.Path(os.environ['STORE']); store.rename(base / 'moved'); "
    assert lab.run(TRAIN + gone + "store.touch()", "--job", "job", "--work", str(base), grace=0.3) == 1
    lab.store.unlink()
    assert upload(lab, "--work", str(base)) == 0
    assert lab.record()["TrainingJobStatus"] == "Completed"
    assert lab.members("model.tar.gz")["policy.onnx"] == b"policy"
    assert (lab.store / "job/checkpoints/checkpoint_1/checkpoint-1").read_text() == "weights"


def test_a_job_whose_record_is_broken_is_refused(lab: Lab, capfd: pytest.CaptureFixture[str]) -> None:
    (lab.store / "job").mkdir(parents=True)
    (lab.store / "job/job.json").write_text("{")
    assert lab.run("", "--resume", "job") == 2
    assert "job/job.json: cannot be read: no JSON: " in capfd.readouterr().err


def test_a_store_that_is_gone_at_the_end_is_told(lab: Lab, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    base = tmp_path / "ml"
    gone = TRAIN + f"store = pathlib.Path({str(lab.store)!r}); store.rename(base / 'moved'); store.touch()"
    assert lab.run(gone, "--job", "job", "--work", str(base), grace=0.3) == 1
    assert (base / "model/policy.onnx").read_text() == "policy"
    said = capfd.readouterr().err
    assert "job job: Failed" in said
    assert f"  kept   {base}, " in said


IN_THE_WAY = """
record = pathlib.Path(os.environ['STORE']) / 'job/job.json'
record.rename(record.with_name('moved')); record.mkdir(); (record / 'in the way').touch()
"""


def test_a_job_whose_last_record_cannot_be_written_gives_all_its_reasons(
    lab: Lab, capfd: pytest.CaptureFixture[str]
) -> None:
    fail = AWAY + IN_THE_WAY + "put('output/failure', 'it broke'); sys.exit(2)"
    assert lab.run(fail, "--job", "job", grace=0.3) == 1
    (why,) = [line for line in capfd.readouterr().err.splitlines() if line.startswith("  why ")]
    assert re.search(r"  why    it broke; not uploaded: .*/job/output lacks .*; store .*: job/job.json: ", why), why


def test_a_last_record_that_the_store_does_not_take_at_once_is_written_again(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    def save_or_clear(*given: Any) -> None:
        try:
            record.save(*given)
        except JobError:
            (lab.store / "job/job.json/in the way").unlink()
            (lab.store / "job/job.json").rmdir()
            raise

    monkeypatch.setattr(closing, "save", save_or_clear)
    assert lab.run(TRAIN + IN_THE_WAY, "--job", "job") == 0
    assert lab.record()["TrainingJobStatus"] == "Completed"


def test_a_failed_jobs_own_reason_comes_first(lab: Lab) -> None:
    fail = f"put('model/a'); pathlib.Path({str(lab.store)!r}, 'job', 'output').touch()\n"
    assert lab.run(fail + "put('output/failure', 'it broke'); sys.exit(2)", "--job", "job", grace=0.3) == 1
    assert lab.record()["FailureReason"].startswith("it broke; not uploaded: ")
