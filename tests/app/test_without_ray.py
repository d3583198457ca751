"""Trainers without workers where Ray does not run: they train, save and restore."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from rl_app import algorithms
from rl_app.training import trainers
from tests.app.jobs import REPOSITORY

PROGRAM = """
import sys
import numpy as np
import ray
from rl_app.training.imports import import_rllib
from rl_app.training.trainers import trainer_class
import_rllib()
run, folder = sys.argv[1:]
env = "Pendulum-v1" if run in ("DDPG", "TD3") else "CartPole-v1"
config = {"num_workers": 0, "env": env, "min_iter_time_s": 0, "timesteps_per_iteration": 100, "log_level": "ERROR"}
one, other = (trainer_class(run, config, fast=True)(config=config) for _ in range(2))
one.train()
other.restore(one.save(folder))
weights = [each.get_policy().get_weights() for each in (one, other)]
assert all(np.array_equal(weights[0][name], weights[1][name]) for name in weights[0])
assert other.iteration == 1 and other.train()["training_iteration"] == 2
print("without Ray" if not ray.is_initialized() else "with Ray")
"""
SYNCHRONOUS = [name for name in algorithms.NAMES if not trainers.needs_ray(name, {"num_workers": 0})]


@pytest.mark.parametrize("run", SYNCHRONOUS)
def test_it_trains_saves_and_restores(run: str, tmp_path: Path) -> None:
    words = [sys.executable, "-c", PROGRAM, run, str(tmp_path)]
    ran = subprocess.run(words, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True, check=True)
    assert ran.stdout.splitlines()[-1] == "without Ray"
