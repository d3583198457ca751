"""What a job imports of RLlib, in a Python of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

from rl_app import algorithms
from tests.app.jobs import REPOSITORY

PROGRAM = """
import sys
from rl_app.training.imports import import_rllib
import_rllib()
assert not [name for name in sys.modules if name.startswith("ray.rllib.agents.sac")]
import ray.rllib.agents.ppo
from ray.rllib.agents.registry import get_agent_class
print(get_agent_class("{name}")._name)
"""


@pytest.mark.parametrize("name", ["PPO", "SAC"])
def test_only_what_is_asked_for_is_imported_and_all_of_it_is_found(name: str) -> None:
    assert name in algorithms.NAMES
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(name=name)], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True, check=True
    )
    assert ran.stdout.split() == [name]
