"""Jobs of several hosts: done, failed, stopped, and with hosts that are killed, paused or never come."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Iterator

import pytest

from rl_app.machine import detect
from tests.app.hosts import NAMES, SECRET, Hosts
from tests.waiting import until

SMALL = {
    "experiment": "cartpole",
    "seed": "1",
    "rl.training.config.train_batch_size": "400",
    "rl.training.config.timesteps_per_iteration": "0",
    "rl.training.config.sgd_minibatch_size": "100",
    "rl.training.config.rollout_fragment_length": "50",
    "rl.training.config.num_sgd_iter": "2",
    "rl.training.config.num_cpus_per_worker": str(detect().cpus),  # one worker a host: they take a while to start
}
NO_GOAL = {"rl.training.stop.episode_reward_mean": "501", "rl.training.stop.timesteps_total": "1000000000"}
ENDLESS = {**SMALL, **NO_GOAL, "rl.training.checkpoint_freq": "1000"}


@pytest.fixture
def cluster(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Hosts]:
    number, hyperparameters = request.param
    made = Hosts(tmp_path, number, hyperparameters)
    made.start()
    yield made
    made.close()


def of(number: int, **hyperparameters: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("cluster", [(number, hyperparameters)], indirect=True, ids=[f"{number}-hosts"])


@of(2, **SMALL, **{"rl.training.stop.training_iteration": "3"})
def test_two_hosts_train_one_trial_and_the_first_alone_leaves_it(cluster: Hosts) -> None:
    assert cluster.wait() == [0, 0], "".join(host.text + host.log for host in cluster)
    first, second = cluster

    assert "starting Ray (" in first.text and "CPUs of 2 hosts)" in first.text
    params = json.loads((first.paths.output_data / "params.json").read_text())
    facts = json.loads((first.paths.output_data / "facts.json").read_text())
    assert params["num_workers"] == facts["machine"]["hosts"] == 2
    assert (first.paths.model / "policy.onnx").exists() and list(first.paths.checkpoints.glob("checkpoint_*"))
    assert len((first.paths.output_data / "metrics.jsonl").read_text().splitlines()) == 3

    left = [path.relative_to(second.paths.base) for path in second.paths.base.rglob("*") if path.is_file()]
    written = [str(path) for path in left if path.parts[0] in ("model", "output", "checkpoints")]
    assert written == [f"output/data/{NAMES[1]}/train.log"]
    assert second.text.splitlines()[-1] == "done"

    files = [path for host in cluster for path in host.paths.base.rglob("*") if path.is_file()]
    assert not [path for path in files if SECRET.encode() in path.read_bytes()]
    assert cluster.look() == []


@of(2, **SMALL, **{"rl.training.config.num_workers": "99"})
def test_more_workers_than_the_hosts_have_is_told_with_the_sum(cluster: Hosts) -> None:
    assert cluster.wait() == [2, 2]
    for host in cluster:
        assert "rl.training.config.num_workers = 99: the hosts have " in host.failure
        assert f" CPUs ({NAMES[0]}: " in host.failure and f", {NAMES[1]}: " in host.failure
        assert host.text.splitlines()[-1].endswith(host.failure)


@of(2, **ENDLESS)
def test_a_stop_of_any_host_is_one_of_the_job(cluster: Hosts) -> None:
    cluster.until_said("iteration    2")
    assert [host.workers for host in cluster] == [1, 1]
    first, second = cluster
    second.process.send_signal(signal.SIGTERM)

    assert cluster.wait(60) == [0, 0], "".join(host.text + host.log for host in cluster)
    assert "stopping as asked" in first.text and second.text.splitlines()[-1] == "stopped as asked"
    assert (first.paths.model / "policy.onnx").exists()
    assert cluster.look() == []


@of(2, **ENDLESS)
def test_a_host_that_falls_silent_ends_the_job_with_its_name(cluster: Hosts) -> None:
    cluster.until_said("iteration    2")
    first, second = cluster
    second.send(signal.SIGSTOP)

    assert first.wait(60) == 1
    assert first.failure == f"host lost: {NAMES[1]}: silent for 10 s"
    assert first.text.splitlines()[-1] == f"failed: {first.failure}"
    assert list(first.paths.checkpoints.glob("checkpoint_*"))
    second.send(signal.SIGCONT)
    assert second.wait(60) != 0


@of(2, **ENDLESS, on_host_lost="go_on")
def test_a_job_goes_on_with_the_hosts_that_are_left(cluster: Hosts) -> None:
    cluster.until_said("iteration    3")
    first, second = cluster
    second.send(signal.SIGKILL)

    cluster.until_said(f"host lost: {NAMES[1]}: ", 60)
    cluster.until_said("going on from iteration", 120)
    said = len(first.text.splitlines())
    until(lambda: len(first.text.splitlines()) > said + 3, 60)
    first.process.send_signal(signal.SIGTERM)
    assert first.wait(60) == 0
    lines = (first.paths.output_data / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["training_iteration"] for line in lines] == list(range(1, len(lines) + 1))


@of(2, **ENDLESS)
def test_a_head_that_is_killed_ends_the_others(cluster: Hosts) -> None:
    cluster.until_said("iteration    1")
    first, second = cluster
    first.send(signal.SIGKILL)

    assert second.wait(60) == 1
    assert second.failure.startswith(f"host lost: {NAMES[0]}: ")


PROGRAM = """
import os, pathlib
print("on", os.environ["SM_CURRENT_HOST"], "of", os.environ["SM_HOSTS"], flush=True)
pathlib.Path(os.environ["SM_MODEL_DIR"], os.environ["SM_CURRENT_HOST"]).write_text("a model")
"""


def test_a_program_runs_on_every_host_and_makes_its_own_cluster(tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "mine.py").write_text(PROGRAM)
    code = {"sagemaker_program": "mine.py", "sagemaker_submit_directory": str(tmp_path / "code")}
    hosts = Hosts(tmp_path, 2, code)
    try:
        hosts.start()
        assert hosts.wait(60) == [0, 0]
        for host in hosts:
            assert f'on {host.name} of ["{NAMES[0]}","{NAMES[1]}"]' in host.text
            assert [path.name for path in host.paths.model.iterdir()] == [host.name]
    finally:
        hosts.close()
