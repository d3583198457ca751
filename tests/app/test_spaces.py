"""Dict observations whose order RLlib mistakes are refused, and only those."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import gym
import numpy as np
import pytest
from gym import spaces
from ray.rllib.models.preprocessors import get_preprocessor

from rl_app.envs import creation
from rl_app.errors import UserError

BOX = spaces.Box(-1.0, 1.0, (1,), np.float32)
SORTED = spaces.Dict({"speed": BOX, "angle": BOX})
UNSORTED = spaces.Dict(OrderedDict([("speed", BOX), ("angle", BOX)]))
SPEED, ANGLE = np.array([0.5], np.float32), np.array([-0.5], np.float32)
PLAIN = {"speed": SPEED, "angle": ANGLE}


def try_out(space: gym.Space, observation: Any) -> None:
    class Mine(gym.Env):
        observation_space, action_space = space, spaces.Discrete(2)

        def seed(self, seed: int = 0) -> None:
            pass

        def reset(self) -> Any:
            return observation

        def step(self, action: Any) -> Any:
            return observation, 0.0, False, {}

    creation.try_out(creation.creator("mine", envs={"mine": lambda env_config: Mine()}), "mine", {}, 0)


@pytest.mark.parametrize(
    ("space", "observation"),
    [
        (SORTED, PLAIN),
        (SORTED, OrderedDict([("angle", ANGLE), ("speed", SPEED)])),
        (UNSORTED, OrderedDict(PLAIN)),
        (spaces.Tuple([BOX, SORTED]), (SPEED, PLAIN)),
    ],
)
def test_what_rllib_reads_right_is_taken(space: gym.Space, observation: Any) -> None:
    try_out(space, observation)


@pytest.mark.parametrize(
    ("space", "observation"),
    [
        (UNSORTED, PLAIN),
        (SORTED, OrderedDict(PLAIN)),
        (spaces.Tuple([BOX, UNSORTED]), (SPEED, PLAIN)),
        (spaces.Dict({"inner": UNSORTED}), {"inner": PLAIN}),
    ],
)
def test_what_rllib_mixes_up_is_refused(space: gym.Space, observation: Any) -> None:
    with pytest.raises(UserError, match="env = mine: reset gave an observation in another order than its space's: "):
        try_out(space, observation)


def test_rllib_does_mix_them_up() -> None:
    assert get_preprocessor(UNSORTED)(UNSORTED).transform(PLAIN).tolist() == [-0.5, 0.5]
