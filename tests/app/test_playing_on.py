"""Asynchronous trainers over workers of which one is slow: the others do not wait for it."""

from __future__ import annotations

import time
from typing import Any, Dict, Iterator, Tuple

import gym
import numpy as np
import pytest
from ray.tune.logger import NoopLogger
from ray.tune.registry import register_env

from rl_app.machine import Machine
from rl_app.training import ray_runtime
from rl_app.training.trainers import trainer_class

STEP_S, SLOWER, FRAGMENT = 0.02, 10, 5


class Waiting(gym.Env):
    """Waits a time each step, much longer in the second worker."""

    observation_space = gym.spaces.Box(-1.0, 1.0, (2,), np.float32)
    action_space = gym.spaces.Discrete(2)

    def __init__(self, env_config: Any) -> None:
        self._step_s, self._steps = STEP_S * (SLOWER if env_config.worker_index == 2 else 1), 0

    def reset(self) -> np.ndarray:
        self._steps = 0
        return np.zeros(2, np.float32)

    def step(self, action: int) -> Tuple[np.ndarray, float, bool, Dict[str, Any]]:
        time.sleep(self._step_s)
        self._steps += 1
        return np.zeros(2, np.float32), 1.0, self._steps == FRAGMENT, {}


@pytest.fixture(scope="module")
def ray_runs() -> Iterator[None]:
    with ray_runtime.running(Machine(cpus=3, gpus=0)):
        register_env("Waiting", lambda env_config: Waiting(env_config))
        yield


@pytest.mark.parametrize("run", ["IMPALA", "APPO"])
def test_a_slow_worker_does_not_have_the_others_wait(ray_runs: None, run: str) -> None:
    config = {
        "num_workers": 2,
        "num_gpus": 0,
        "rollout_fragment_length": FRAGMENT,
        "train_batch_size": FRAGMENT,
        "timesteps_per_iteration": 4 * FRAGMENT,
        "min_iter_time_s": 0,
        "log_level": "ERROR",
        "model": {"fcnet_hiddens": [8]},
    }
    trainer = trainer_class(run, config, None)(config, "Waiting", lambda config: NoopLogger(config, ""))
    try:
        trainer.train()  # all are there
        began, before = time.monotonic(), trainer.optimizer.num_steps_sampled
        results = [trainer.train() for _ in range(4)]
        rate = (trainer.optimizer.num_steps_sampled - before) / (time.monotonic() - began)
    finally:
        trainer.stop()
    assert rate * STEP_S > 0.4  # of what the fast one does alone; it was 0.18
    assert sum(each["timesteps_this_iter"] for each in results) == trainer.optimizer.num_steps_sampled - before
    assert all(each["episodes_this_iter"] > 0 for each in results)
