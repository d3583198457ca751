"""Environments of Gymnasium in its own wrappers, as a user would write them."""

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.wrappers import FlattenObservation, RecordEpisodeStatistics, RescaleAction, TimeLimit


class Tank(gymnasium.Env):
    """Hold the level of one of two tanks by its valve."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012  # as Gymnasium has it
    observation_space = spaces.Dict(
        {
            "level": spaces.Box(-10.0, 10.0, (2,), np.float32),
            "goal": spaces.Discrete(2, start=5),
            "open": spaces.Tuple([spaces.MultiBinary(2), spaces.MultiDiscrete([2, 3])]),
        }
    )
    action_space = spaces.Box(-2.0, 2.0, (2,), np.float32)

    def __init__(self, render_mode=None):
        self.render_mode = render_mode

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.level = self.np_random.uniform(-1, 1, 2).astype(np.float32)
        return self._observe(), {}

    def step(self, action):
        assert self.action_space.contains(action), action
        self.level = self.level + action / 10
        return self._observe(), -float(np.abs(self.level).sum()), bool(np.abs(self.level).max() > 9), False, {}

    def render(self):
        return np.full((16, 16, 3), int(20 + 10 * np.clip(self.level[0], -2, 2)), np.uint8)

    def _observe(self):
        return {"level": self.level, "goal": 5, "open": (np.ones(2, np.int8), np.array([1, 2]))}


def tank(env_config, render_mode=None):
    return RescaleAction(RecordEpisodeStatistics(TimeLimit(Tank(render_mode), 25)), -1.0, 1.0)


def flat(env_config):
    return FlattenObservation(TimeLimit(Tank(), 25))


def cartpole(env_config, render_mode=None):
    return gymnasium.make("CartPole-v1", max_episode_steps=30, render_mode=render_mode)


def many(env_config):
    return gymnasium.vector.make("CartPole-v1", num_envs=2, asynchronous=False)


class Words(Tank):
    """Observations that Gym has no space for."""

    observation_space = spaces.Text(5)


ENVS = {"tank": tank, "flat": flat, "gymnasium-cartpole": cartpole, "many": many, "words": lambda env_config: Words()}
