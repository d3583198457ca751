"""Environments at the edge of what is possible are right in training, evaluation and serving.

Each is a whole job; ``tests/app/test_any_environment.py`` draws as many others as there is time for.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.app.edge_jobs import everywhere, served, train
from tests.app.jobs import Finished


def test_actions_that_start_below_zero_are_those_of_the_environment(tmp_path: Path) -> None:
    trained = everywhere(tmp_path, "offset")
    # Ten actions an episode, each paid 0.1, 1 or 10
    assert all(1.0 <= reward <= 100.0 for reward in trained.rewards)
    assert set(served(trained.model, [[0.5]], [[-0.5]])) <= {-1, 0, 1}
    assert trained.facts["training"]["episode_reward_min"] < 50  # ten of 1, 10 and 100 would give more


def test_actions_of_a_discrete_observation_that_start_below_zero_are_right(tmp_path: Path) -> None:
    trained = everywhere(tmp_path, "shifted", "stop.training_iteration=12", "config.lr=0.01")
    assert min(trained.rewards) == 10.0
    assert served(trained.model, 0, 1, 2) == [-1, 0, 1]


@pytest.mark.parametrize(
    ("name", "observation"),
    [
        ("gridbits", [np.zeros((5, 4), int).tolist(), [1.0, 2.0]]),
        ("flatbits", np.ones((3, 2), int).tolist()),
        ("pairs", np.ones((4, 2), int).tolist()),
        ("bare", 0.5),
    ],
)
def test_observations_of_unusual_spaces_are_seen_and_served(name: str, observation: Any, tmp_path: Path) -> None:
    trained = everywhere(tmp_path, name)
    (action,) = served(trained.model, observation)
    assert isinstance(action, int)


def test_a_bool_is_the_number_that_it_is(tmp_path: Path) -> None:
    trained = everywhere(tmp_path, "truths", "stop.training_iteration=12", "config.lr=0.01")
    assert min(trained.rewards) == 10.0
    actions = served(trained.model, True, False, 1, 0)
    assert actions == [1, 0, 1, 0] and all(type(action) is int for action in actions)


@pytest.mark.parametrize("name", ["switches", "wholes", "meddler", "parts"])
def test_actions_of_unusual_spaces_are_those_of_the_environment(name: str, tmp_path: Path) -> None:
    trained = everywhere(tmp_path, name)  # which checks each of its actions
    observation = [0.5] * 3 if name == "switches" else [0.5] * 2
    (action,) = served(trained.model, observation)
    if name == "switches":
        assert set(action) <= {0, 1} and len(action) == 3
    if name == "wholes":
        assert all(type(number) is int and -3 <= number <= 7 for number in action)


def test_without_bounds_ppo_is_right(tmp_path: Path) -> None:
    (action,) = served(everywhere(tmp_path, "unbounded").model, [0.5, 0.5])
    assert all(map(math.isfinite, action))


def test_an_array_that_the_environment_writes_to_again_is_copied(tmp_path: Path) -> None:
    words = ("reused", "stop.training_iteration=4", "config.lr=0.01", "seed=1", "config.train_batch_size=640")
    means = []
    for name, copies in (("own", "false"), ("copied", "true")):
        ran = train(tmp_path, *words, f'config.env_config={{"copies":{copies}}}', name=name)
        assert ran.status == 0, ran
        output = Finished(tmp_path, name, ran).unpack("output.tar.gz", tmp_path / f"{name}-output")
        rows = [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]
        means.append([row["episode_reward_mean"] for row in rows])
    assert means[0] == means[1]
