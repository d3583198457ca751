"""Jobs on their worst day: what ends in the middle, what cannot be read, who listens; and what is left of it."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import tempfile
from pathlib import Path
from typing import Any, Dict, Iterator, List

import psutil
import pytest
import redis

from tests.app.jobs import Finished, Ran, local, run, start, wait_for_line
from tests.app.test_hints import hints, typed
from tests.app.test_refusals import environment
from tests.waiting import until

LONG = ("stop.episode_reward_mean=501", "config.timesteps_per_iteration=0", "checkpoint_freq=1")


def record(store: Path, job: str = "job") -> Dict[str, Any]:
    return json.loads((store / job / "job.json").read_text())


def goes_on(store: Path, *words: str, job: str = "job") -> Finished:
    ran = run(local("--resume", job, *words, "--store", str(store)))
    assert ran.status == 0, ran
    return Finished(store, job, ran)


# ---- processes that end in the middle


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        ("os._exit(0)", "the job's process ended with exit status 0 in the middle: something in it called exit"),
        ("os.kill(os.getpid(), 9)", "the job's process was ended by SIGKILL in the middle, as for want of memory"),
    ],
)
def test_a_process_that_ends_in_the_middle_has_failed_and_leaves_what_it_had(
    end: str, reason: str, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "envs.py").write_text(environment(step=f"import os; self.steps > 300 and {end}"))
    words = ("run=PG", "env=mine", "config={}", "config.num_workers=0", "config.rollout_fragment_length=200", *LONG)
    ran = run(local(*words, "--source", str(source), "--job", "job", "--store", str(tmp_path)))
    assert ran.status == 1, ran
    assert record(tmp_path)["TrainingJobStatus"] == "Failed"
    assert record(tmp_path)["FailureReason"] == reason
    assert "ModelArtifacts" not in record(tmp_path)
    assert f"failed: {reason}" in ran.stdout.splitlines(), ran
    assert (tmp_path / "job/output/output.tar.gz").exists()
    (hint,) = [hint for hint in hints(ran) if "stop.training_iteration=1 " in hint]
    made = typed(hint)
    assert made.status == 0 and "exporting the policy of iteration 1, the best checkpoint" in made.stdout, made
    assert iterations(tmp_path) == [1]
    assert record(tmp_path)["ModelArtifacts"]["S3ModelArtifacts"].endswith("job/output/model.tar.gz")


@pytest.fixture
def with_a_worker(tmp_path: Path) -> Iterator[psutil.Process]:
    """A job that samples in a worker of Ray's, and has a folder for what is temporary, of which nothing is left."""
    words = ("config.num_workers=1", "config.min_iter_time_s=0", *LONG)
    temporary = Path(tempfile.mkdtemp(prefix="t", dir="/tmp"))
    process = start(local(*words, "--job", "job", "--store", str(tmp_path)), TMPDIR=str(temporary))
    wait_for_line(process, "iteration    2 ")
    yield psutil.Process(process.pid)
    if process.poll() is None:
        process.terminate()
    process.communicate(timeout=120)
    assert list(temporary.iterdir()) == []
    temporary.rmdir()


def of_ray(job: psutil.Process, name: str) -> psutil.Process:
    return next(each for each in job.children(recursive=True) if name in Path(f"/proc/{each.pid}/comm").read_text())


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("raylet", "Ray's raylet was ended"),
        ("redis-server", "Ray's redis-server was ended by SIGKILL"),
        ("ray::Rollout", "a worker process of Ray's was ended in the middle"),
    ],
)
def test_a_process_of_rays_that_is_killed_is_named(
    name: str, reason: str, with_a_worker: psutil.Process, tmp_path: Path
) -> None:
    family = with_a_worker.children(recursive=True)
    of_ray(with_a_worker, name).kill()
    until(lambda: record(tmp_path)["TrainingJobStatus"] == "Failed", 60)
    assert record(tmp_path)["FailureReason"].startswith(reason)
    psutil.wait_procs(family, 20)
    assert [each for each in family if each.is_running()] == []
    done = record(tmp_path)["FinalMetricDataList"][0]["Value"]
    assert done > 0 and list((tmp_path / "job/checkpoints").glob("checkpoint_*"))
    finished = goes_on(tmp_path, f"stop.training_iteration={len(list((tmp_path / 'job/checkpoints').iterdir())) + 1}")
    assert (finished.directory / "output/model.tar.gz").exists()
    assert "in no checkpoint, and new: the workers' random generators" in finished.ran.stdout


# ---- who listens


def test_rays_redis_asks_for_a_password_of_the_job_and_listens_on_this_machine_alone(
    with_a_worker: psutil.Process,
) -> None:
    servers = [each for each in with_a_worker.children(recursive=True) if "redis-server" in " ".join(each.cmdline())]
    listening = [found.laddr for each in servers for found in each.net_connections("tcp") if found.status == "LISTEN"]
    assert len(servers) == 2 and listening
    assert all(address.ip.startswith("127.") for address in listening)
    for address in listening:
        with pytest.raises(redis.exceptions.RedisError, match=r"invalid password|WRONGPASS"):
            redis.StrictRedis(address.ip, address.port, password="5241590000000000").ping()
        with pytest.raises(redis.exceptions.RedisError, match=r"NOAUTH|Authentication required"):
            redis.StrictRedis(address.ip, address.port).ping()


# ---- what cannot be read


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store of a job of three iterations, which may go on."""
    store = tmp_path_factory.mktemp("three")
    words = ("run=PG", "config={}", "config.num_workers=0", "config.min_iter_time_s=0", "checkpoint_freq=1")
    process = start(local(*words, "stop.training_iteration=100000", "--job", "job", "--store", str(store)))
    wait_for_line(process, "iteration    3 ")
    os.kill(process.pid, signal.SIGTERM)
    process.communicate(timeout=60)
    return store


@pytest.fixture
def store(three: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(three, tmp_path / "store"))


def iterations(store: Path) -> List[int]:
    return sorted(int(path.name[11:]) for path in (store / "job/checkpoints").glob("checkpoint_*"))


def printed(finished: Finished) -> List[str]:
    return (finished.ran.stdout + finished.ran.stderr).splitlines()


@pytest.mark.parametrize("content", [b"", b"\x80\x03}q\x00("])
def test_a_checkpoint_that_cannot_be_read_is_set_aside_and_the_one_before_goes_on(content: bytes, store: Path) -> None:
    *_, before, newest = iterations(store)
    broken = store / f"job/checkpoints/checkpoint_{newest}"
    (broken / f"checkpoint-{newest}").write_bytes(content)
    finished = goes_on(store, f"stop.training_iteration={newest + 1}")
    told = [line for line in printed(finished) if f"checkpoint_{newest} cannot be read" in line]
    assert len(told) == 1 and f"unreadable-checkpoint_{newest}" in told[0], finished.ran
    assert any(f"going on from iteration {before}" in line for line in printed(finished))
    assert (store / f"job/checkpoints/unreadable-checkpoint_{newest}").is_dir()
    assert newest in iterations(store)  # done again, and whole
    assert goes_on_further(store, newest + 2)


def goes_on_further(store: Path, iteration: int) -> bool:
    job = json.loads((store / "job/job.json").read_text())
    job["TrainingJobStatus"] = "Stopped"
    (store / "job/job.json").write_text(json.dumps(job))
    return not any("cannot be read" in line for line in printed(goes_on(store, f"stop.training_iteration={iteration}")))


def test_the_best_checkpoint_that_can_be_read_is_exported(store: Path) -> None:
    rows = [json.loads(line) for line in (store / "job/checkpoints/metrics.jsonl").read_text().splitlines()]
    first = iterations(store)[0]
    for row in rows:
        row["episode_reward_mean"] = 490.0 if row["training_iteration"] == first else 10.0
    (store / "job/checkpoints/metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (store / f"job/checkpoints/checkpoint_{first}/checkpoint-{first}").write_bytes(b"")
    finished = goes_on(store, f"stop.training_iteration={iterations(store)[-1] + 1}")
    assert any(f"checkpoint_{first} cannot be read" in line for line in printed(finished)), finished.ran
    assert (finished.directory / "output/model.tar.gz").exists()


def test_a_line_of_the_metrics_that_cannot_be_read_is_left_out_and_named(store: Path) -> None:
    file = store / "job/checkpoints/metrics.jsonl"
    lines = file.read_text().splitlines()
    lines[1] = lines[1][:20] + "\x00\x00"
    file.write_text("\n".join(lines) + "\n")
    finished = goes_on(store, f"stop.training_iteration={iterations(store)[-1] + 1}")
    log = finished.unpack("output.tar.gz", store / "out") / "train.log"
    assert "metrics.jsonl, line 2: no row of metrics, left out" in log.read_text()


def test_a_checkpoint_of_another_algorithm_is_refused_with_both_named(store: Path, tmp_path: Path) -> None:
    base = tmp_path / "ml"
    shutil.copytree(store / "job/checkpoints", base / "checkpoints")
    config = base / "input/config"
    config.mkdir(parents=True)
    given = {"experiment": "cartpole", "rl.training.stop.training_iteration": "9"}
    (config / "hyperparameters.json").write_text(json.dumps(given))
    (config / "resourceconfig.json").write_text(json.dumps({"current_host": "localhost", "hosts": ["localhost"]}))
    before = sorted(path.name for path in (base / "checkpoints").iterdir())
    ran = run([*local()[:3], "train"], SAGEMAKER_BASE_DIR=str(base))
    assert ran.status == 2, ran
    assert re.search(r"checkpoint_\d+ is of PG in CartPole-v1, and this job trains PPO in CartPole-v1", ran.stdout)
    assert sorted(path.name for path in (base / "checkpoints").iterdir()) == before


def test_input_that_is_read_only_is_left_as_it_is(tmp_path: Path) -> None:
    base = tmp_path / "ml"
    config = base / "input/config"
    config.mkdir(parents=True)
    given = {"experiment": "cartpole", "rl.training.stop.training_iteration": "1"}
    (config / "hyperparameters.json").write_text(json.dumps(given))
    (config / "resourceconfig.json").write_text(json.dumps({"current_host": "localhost", "hosts": ["localhost"]}))
    ran: Ran = run([*local()[:3], "train"], SAGEMAKER_BASE_DIR=str(base))
    assert ran.status == 0, ran
    assert sorted(path.name for path in config.iterdir()) == ["hyperparameters.json", "resourceconfig.json"]
