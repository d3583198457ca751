"""A job of several hosts in Docker: by compose, by scripts/train, and with a host that is killed or falls silent."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Iterator, List

import pytest

from tests.stack.conftest import docker
from tests.stack.test_compose import Ran, Stack, stack  # noqa: F401
from tests.waiting import until

SMALL = (
    "stop.training_iteration=3 config.timesteps_per_iteration=0 config.train_batch_size=400 "
    f"config.rollout_fragment_length=50 config.num_cpus_per_worker={len(os.sched_getaffinity(0))}"
)
ENDLESS = SMALL.replace("stop.training_iteration=3", "stop.training_iteration=100000")


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
    return stack.compose("--profile", "cluster", "logs", "--no-log-prefix", service).output


def started(stack: Stack, job: str, hyperparameters: str) -> None:  # noqa: F811
    begun = stack.compose("up", "--detach", "head", JOB=job, HYPERPARAMETERS=hyperparameters)
    assert begun.status == 0, begun.output
    until(lambda: "iteration    2" in logs(stack, "head") or statuses_known(stack), 180)
    assert "iteration    2" in logs(stack, "head"), logs(stack, "head") + logs(stack, "worker")


def statuses_known(stack: Stack) -> bool:  # noqa: F811
    (head,) = containers(stack, "head")
    return docker("inspect", "--format", "{{.State.Running}}", head).strip() == "false"


def test_compose_runs_one_job_on_as_many_hosts_as_there_are_workers(cluster: Stack) -> None:
    ran = cluster.compose("up", "--scale", "worker=2", "head", JOB="three", HYPERPARAMETERS=SMALL)
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
    docker("pause", worker)
    try:
        until(lambda: "going on from iteration" in logs(cluster, "head"), 120)
        assert "host lost: algo-2: silent for 10 s: going on with" in logs(cluster, "head")
        said = len(logs(cluster, "head").splitlines())
        until(lambda: len(logs(cluster, "head").splitlines()) > said + 2, 60)
        docker("stop", "--time", "100", head)
        assert cluster.record("paused")["TrainingJobStatus"] == "Stopped"
    finally:
        docker("unpause", worker)
    assert statuses(cluster)[1] == 1  # it has woken, and was told


def test_the_script_runs_one_job_on_several_hosts(stack: Stack, tmp_path: Path) -> None:  # noqa: F811
    environ = {**stack.environment, "HYPERPARAMETERS": ""}
    words = [str(stack.root / "scripts" / "train"), "--hosts", "2", "--engine", "docker", "--job", "scripted"]
    words += [*SMALL.split(), "--source", str(stack.root / "examples" / "corridor"), "corridor"]
    done = subprocess.run(words, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=600)
    assert done.returncode == 0, done.stdout
    assert "CPUs of 2 hosts)" in done.stdout and "--hosts 2" in done.stdout
    assert stack.record("scripted")["TrainingJobStatus"] == "Completed"
    project = f"label=com.docker.compose.project={stack.environment['COMPOSE_PROJECT_NAME']}"
    assert "worker" not in docker(
        "ps", "--all", "--filter", project, "--format", '{{.Label "com.docker.compose.service"}}'
    )
