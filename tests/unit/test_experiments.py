"""Every experiment of the registry is a job that can run, on any machine."""

from __future__ import annotations

import pytest

from rl_app.experiments import EXPERIMENTS
from rl_app.job.hyperparameters import parse
from rl_app.job.sagemaker import check_job_name
from rl_app.machine import Machine

MACHINES = [Machine(1, 0), Machine(2, 0), Machine(8, 1)]


@pytest.mark.parametrize("machine", MACHINES, ids=str)
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_each_passes_the_checks_of_its_own_hyperparameters(name: str, machine: Machine) -> None:
    job = parse({"experiment": name}, machine)

    assert set(job.trial) == {"run", "env", "stop", "config", "checkpoint_freq", "keep_checkpoints_num"}


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_each_ends_by_itself(name: str) -> None:
    stop = parse({"experiment": name}, MACHINES[0]).trial["stop"]

    assert {"training_iteration", "timesteps_total", "episodes_total", "time_total_s"} & set(stop)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_each_name_can_begin_a_jobs_name(name: str) -> None:
    check_job_name(f"{name}-2026-01-02-03-04-05")


def test_cartpole_is_solved_at_475() -> None:
    assert parse({}, None).trial["stop"]["episode_reward_mean"] == 475


@pytest.mark.parametrize("machine", MACHINES, ids=str)
def test_cartpole_aws_has_the_settings_of_aws(machine: Machine) -> None:
    assert parse({"experiment": "cartpole-aws"}, machine).trial == {
        "run": "PPO",
        "env": "CartPole-v1",
        "stop": {"training_iteration": 40},
        "checkpoint_freq": 10,
        "keep_checkpoints_num": 4,
        "config": {
            "gamma": 0.99,
            "kl_coeff": 1.0,
            "num_sgd_iter": 20,
            "lr": 1e-4,
            "sgd_minibatch_size": 1000,
            "train_batch_size": 25000,
            "num_workers": machine.cpus - 1,
            "num_gpus": machine.gpus,
            "batch_mode": "truncate_episodes",
            "use_pytorch": False,
        },
    }


def test_catch_learns_on_a_gpu_where_there_is_one() -> None:
    with_gpu, without = (
        parse({"experiment": "catch"}, machine).trial["config"] for machine in (MACHINES[2], MACHINES[1])
    )
    asked = ("num_gpus", "num_workers", "simple_optimizer")
    assert [with_gpu[name] for name in asked] == [1, 7, False]
    assert [without[name] for name in asked] == [0, 0, True]
