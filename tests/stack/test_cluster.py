"""A job of several hosts in Docker: by compose, by scripts/train, and with a host that is killed or falls silent."""

from __future__ import annotations

import json
import os
import subprocess
import tarfile
from pathlib import Path
from typing import Any, Dict, Iterator, List

import pytest

from rl_app.experiences import files
from rl_app.storage.opening import open_store
from scripts.lib import engine
from tests.stack.conftest import docker, pause
from tests.stack.test_compose import Ran, Stack, stack  # noqa: F401
from tests.waiting import until

CPUS = len(os.sched_getaffinity(0))
SMALL = (
    "stop.training_iteration=3 config.timesteps_per_iteration=0 config.train_batch_size=400 "
    f"config.rollout_fragment_length=50 config.num_cpus_per_worker={CPUS}"
)
NO_GOAL = "stop.episode_reward_mean=501 stop.timesteps_total=1000000000"
ENDLESS = SMALL.replace("stop.training_iteration=3", NO_GOAL)


@pytest.fixture(scope="module", autouse=True)
def built(stack: Stack) -> None:  # noqa: F811
    """Builds the image once, and not again for each service that a command starts."""
    ran = stack.compose("build", "train")
    assert ran.status == 0, ran.output
    stack.environment.update(engine.READY)


@pytest.fixture
def cluster(stack: Stack) -> Iterator[Stack]:  # noqa: F811
    yield stack
    stack.compose("--profile", "cluster", "rm", "--force", "--stop", "head", "worker")


def containers(stack: Stack, service: str) -> List[str]:  # noqa: F811
    return stack.compose("--profile", "cluster", "ps", "--all", "--quiet", service).output.split()


def statuses(stack: Stack) -> List[int]:  # noqa: F811
    """The exit statuses of the head and of the workers, once all have ended."""
    names = [each for service in ("head", "worker") for each in containers(stack, service)]
    return [int(docker("wait", name)) for name in names]


def logs(stack: Stack, service: str) -> str:  # noqa: F811
    return "".join(docker("logs", each) for each in containers(stack, service))


def started(stack: Stack, job: str, hyperparameters: str) -> None:  # noqa: F811
    begun = stack.compose("up", "--detach", "head", JOB=job, HYPERPARAMETERS=hyperparameters)
    assert begun.status == 0, begun.output
    (head,) = containers(stack, "head")  # compose takes most of a core to say anything, and is not asked over and over
    until(lambda: "iteration    2" in docker("logs", head) or has_ended(head), 180)
    assert "iteration    2" in docker("logs", head), docker("logs", head) + logs(stack, "worker")


def has_ended(container: str) -> bool:
    return docker("inspect", "--format", "{{.State.Running}}", container).strip() == "false"


def test_compose_runs_one_job_on_as_many_hosts_as_there_are_workers(cluster: Stack) -> None:
    given = {"JOB": "three", "HYPERPARAMETERS": SMALL, "IMAGE_POLICY": "build"}
    ran = cluster.compose("up", "--scale", "worker=2", "head", **given)
    assert ran.status == 0, ran.output + logs(cluster, "worker")
    assert "CPUs of 3 hosts)" in ran.output and "hosts: algo-1, algo-2, algo-3" in ran.output
    assert statuses(cluster) == [0, 0, 0]
    assert cluster.record("three")["TrainingJobStatus"] == "Completed"
    kept = {entry.key for entry in cluster.store.list("three/output")}
    assert {f"three/output/intermediate/algo-{number}/train.log" for number in (2, 3)} <= kept
    assert "three/output/model.tar.gz" in kept
    said = cluster.store.read("three/output/intermediate/train.log").decode()
    assert "ip=172." in said or "ip=1" in said or "ip=10." in said  # what workers elsewhere have printed


def test_a_killed_host_ends_the_job_with_its_name(cluster: Stack) -> None:
    started(cluster, "killed", ENDLESS)
    (worker,) = containers(cluster, "worker")
    docker("kill", worker)
    assert statuses(cluster)[0] == 1
    assert str(cluster.record("killed")["FailureReason"]).startswith("host lost: algo-2: ")


def test_a_job_goes_on_without_a_paused_host(cluster: Stack) -> None:
    started(cluster, "paused", f"{ENDLESS} on_host_lost=go_on")
    (head,), (worker,) = containers(cluster, "head"), containers(cluster, "worker")
    pause(worker)
    try:
        until(lambda: "going on from iteration" in docker("logs", head), 120)
        assert "host lost: algo-2: silent for 10 s: going on with" in docker("logs", head)
        said = len(docker("logs", head).splitlines())
        until(lambda: len(docker("logs", head).splitlines()) > said + 2, 60)
        docker("stop", "--time", "100", head)
        assert cluster.record("paused")["TrainingJobStatus"] == "Stopped"
    finally:
        docker("unpause", worker)
    assert statuses(cluster)[1] == 1  # it has woken, and was told


class Script:
    """`scripts/train --hosts 2`, running."""

    def __init__(self, stack: Stack, file: Path, *words: str) -> None:  # noqa: F811
        command = [str(stack.root / "scripts" / "train"), "--hosts", "2", "--engine", "docker", *words]
        self._file, self._project = file, stack.environment["COMPOSE_PROJECT_NAME"]
        environ = {**stack.environment, "HYPERPARAMETERS": ""}
        with file.open("w") as said:
            self._process = subprocess.Popen(command, env=environ, stdout=said, stderr=subprocess.STDOUT)

    def __enter__(self) -> Script:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            docker("kill", *self.containers())
            self._process.wait(120)

    @property
    def said(self) -> str:
        return self._file.read_text()

    def until(self, part: str, deadline_s: float) -> None:
        until(lambda: part in self.said or self._process.poll() is not None, deadline_s)
        assert part in self.said, self.said

    def wait(self, deadline_s: float) -> int:
        return self._process.wait(deadline_s)

    def containers(self) -> List[str]:
        project = ["--filter", f"label=com.docker.compose.project={self._project}"]
        return docker("ps", "--quiet", *project, "--filter", "name=rllib-train-").split()


EVALUATED = (
    "config.timesteps_per_iteration=0 config.train_batch_size=400 config.rollout_fragment_length=50 "
    f"config.num_cpus_per_worker={CPUS / 2} config.num_workers=2 config.evaluation_num_workers=2 "
    "config.evaluation_interval=1 config.evaluation_num_episodes=2 checkpoint_freq=5 config.num_envs_per_worker=4 "
    "stop.timesteps_total=100000000 stop.episode_reward_mean=501"
)
"""Four workers, which fill two hosts: two that play to learn, and two that evaluate after each iteration."""


def test_a_stopped_or_interrupted_job_goes_on_on_all_hosts_and_leaves_its_best(cluster: Stack, tmp_path: Path) -> None:
    started(cluster, "spot", EVALUATED)
    docker("stop", "--time", "100", *containers(cluster, "worker"))  # one of the hosts
    assert statuses(cluster) == [143, 143], logs(cluster, "head") + logs(cluster, "worker")
    assert "algo-2 is told to stop, and with it the job" in logs(cluster, "head")
    assert "scripts/train --resume spot --hosts 2" in logs(cluster, "head")
    assert logs(cluster, "worker").splitlines()[-1].endswith("stopped as asked")
    assert cluster.record("spot")["TrainingJobStatus"] == "Stopped"
    first = iterations(cluster, "spot")
    cluster.compose("--profile", "cluster", "rm", "--force", "--stop", "head", "worker")

    with Script(cluster, tmp_path / "said", "--resume", "spot", "--interrupt-after", "25s") as going:
        going.until("as after a spot interruption", 180)
        interrupted = iterations(cluster, "spot")
        assert len(interrupted) > len(first) and f"going on from iteration {len(first)}" in going.said
        going.until(f"going on from iteration {len(interrupted)}", 120)
        going.until(f"iteration {len(interrupted) + 2:>4}", 120)
        docker("kill", "--signal", "TERM", *going.containers())  # all of the hosts
        assert going.wait(120) == 143, going.said
    rows = iterations(cluster, "spot")
    assert len(rows) > len(interrupted) + 1
    assert all(row["evaluation_reward_mean"] > 5 for row in rows)

    with Script(cluster, tmp_path / "ended", "--resume", "spot", "stop.training_iteration=1") as ending:
        assert ending.wait(180) == 0, ending.said
    assert iterations(cluster, "spot") == rows
    assert f"exporting the policy of iteration {best(cluster, 'spot')}, the best checkpoint" in ending.said
    assert cluster.record("spot")["TrainingJobStatus"] == "Completed"


def iterations(stack: Stack, job: str) -> List[Dict[str, Any]]:  # noqa: F811
    """The metrics of a job that has been uploaded; each iteration is there once."""
    text = stack.store.read(f"{job}/checkpoints/metrics.jsonl").decode()
    rows = [json.loads(line) for line in text.splitlines()]
    assert [row["training_iteration"] for row in rows] == list(range(1, len(rows) + 1))
    return rows


def best(stack: Stack, job: str) -> int:  # noqa: F811
    """The iteration of the best of the checkpoints that are kept."""
    rewards = {row["training_iteration"]: row["episode_reward_mean"] for row in iterations(stack, job)}
    names = {entry.key.split("/")[2] for entry in stack.store.list(f"{job}/checkpoints")}
    there = [int(name.partition("_")[2]) for name in names if name.startswith("checkpoint_")]
    return max(there, key=lambda iteration: (rewards[iteration], iteration))


SEES = """
import json, os, pathlib
data = pathlib.Path("/opt/ml/input/data/steps")
assert data.samefile(os.environ["SM_CHANNEL_STEPS"])
left = pathlib.Path(os.environ["SM_OUTPUT_DATA_DIR"], os.environ["SM_CURRENT_HOST"])
left.mkdir(exist_ok=True)
(left / "seen").write_text((data / "deep" / "table.csv").read_text() + os.environ["SM_CURRENT_HOST"])
pathlib.Path(os.environ["SM_MODEL_DIR"], "model").write_text("none")
"""
"""A program that leaves what it has found in a channel, on each host."""


def test_each_host_has_the_users_own_data_where_sagemaker_puts_it(stack: Stack, tmp_path: Path) -> None:  # noqa: F811
    (tmp_path / "data" / "deep").mkdir(parents=True)
    (tmp_path / "data" / "deep" / "table.csv").write_text("the table ")
    (tmp_path / "sees.py").write_text(SEES)
    words = ["--job", "seeing", "--program", str(tmp_path / "sees.py"), "--channel", f"steps={tmp_path / 'data'}"]
    with Script(stack, tmp_path / "said", *words) as script:
        assert script.wait(180) == 0, script.said
    kept = {entry.key: entry for entry in stack.store.list("seeing/output")}
    assert stack.store.read("seeing/output/intermediate/algo-2/seen") == b"the table algo-2", list(kept)
    archive = tmp_path / "output.tar.gz"
    stack.store.download("seeing/output/output.tar.gz", archive)
    with tarfile.open(archive) as packed:
        member = packed.extractfile("algo-1/seen")
        assert member is not None and member.read() == b"the table algo-1"


STEPS = 40
EPISODE = {
    "type": "SampleBatch",
    "obs": [[0.01 * step, 0.0, 0.0, 0.0] for step in range(STEPS)],
    "new_obs": [[0.01 * step, 0.0, 0.0, 0.0] for step in range(1, STEPS + 1)],
    "actions": [step % 2 for step in range(STEPS)],
    "rewards": [1.0] * STEPS,
    "dones": [step == STEPS - 1 for step in range(STEPS)],
    "prev_actions": [0] * STEPS,
    "prev_rewards": [0.0] * STEPS,
    "eps_id": [0] * STEPS,
    "t": [*range(STEPS)],
}
OFFLINE = (
    "run=MARWIL config={} config.input=data config.num_workers=2 config.evaluation_interval=1 "
    f"config.evaluation_num_episodes=2 config.num_cpus_per_worker={CPUS} stop.training_iteration=2"
)


def test_hosts_learn_from_episodes_in_a_bucket(cluster: Stack, tmp_path: Path) -> None:
    files.write([EPISODE] * 20, tmp_path / "episodes")
    bucket = open_store("s3://recorded/first", cluster.minio)
    for file in (tmp_path / "episodes").iterdir():
        bucket.upload(file, file.name)
    given = {"CHANNELS": "data=s3://recorded/first", "HYPERPARAMETERS": OFFLINE}
    ran = cluster.compose("up", "head", JOB="offline", **given)
    assert ran.status == 0, ran.output + logs(cluster, "worker")
    assert statuses(cluster) == [0, 0]
    assert "channel data: s3://recorded/first" in ran.output
    rows = iterations(cluster, "offline")
    assert [row["episodes_total"] for row in rows] == [0, 0]  # all that it learnt from was read, on both hosts
    assert all(row["vf_loss"] > 0 and row["evaluation_reward_mean"] > 5 for row in rows)
    (channel,) = cluster.record("offline")["InputDataConfig"]
    assert channel["DataSource"]["S3DataSource"]["S3Uri"] == "s3://recorded/first"


def test_a_channel_of_a_bucket_is_learnt_from_on_one_host_and_one_without_files_is_refused(
    stack: Stack,  # noqa: F811
) -> None:
    open_store("s3://recorded/one", stack.minio).write("episodes.json", json.dumps(EPISODE).encode())
    given = {"CHANNELS": "data=s3://recorded/one", "HYPERPARAMETERS": OFFLINE.replace("num_workers=2", "num_workers=0")}
    ran = stack.compose("run", "--rm", "-T", "train", JOB="offline-one", **given)
    assert ran.status == 0, ran.output
    assert stack.record("offline-one")["TrainingJobStatus"] == "Completed"
    ran = stack.compose("run", "--rm", "-T", "train", JOB="refused", CHANNELS="data=s3://recorded/none")
    assert ran.status == 2, ran.output
    assert "--channel data=s3://recorded/none: there are no files in it" in ran.output
    assert "refused" not in stack.jobs()


def test_the_script_runs_one_job_on_several_hosts(stack: Stack, tmp_path: Path) -> None:  # noqa: F811
    words = [*SMALL.split(), "--job", "scripted", "--source", str(stack.root / "examples" / "corridor"), "corridor"]
    with Script(stack, tmp_path / "said", *words) as script:
        assert script.wait(600) == 0, script.said
    assert "CPUs of 2 hosts)" in script.said and "--hosts 2" in script.said
    assert stack.record("scripted")["TrainingJobStatus"] == "Completed"
    assert script.containers() == []
