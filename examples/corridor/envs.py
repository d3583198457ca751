"""An environment of your own: walk to the end of a corridor. `scripts/train corridor --source examples/corridor`"""

import gym
import numpy as np


class Corridor(gym.Env):
    """Observation: how far one is, 0 to 1. Actions: 0 back, 1 forth. Reward: -1 a step, so that haste pays."""

    metadata = {"render.modes": ["rgb_array"]}  # noqa: RUF012  # as gym has it
    observation_space = gym.spaces.Box(0.0, 1.0, (1,), np.float32)
    action_space = gym.spaces.Discrete(2)

    def __init__(self, length=8):
        self.length = length
        self.place = 0

    def reset(self):
        self.place = 0
        return self._observe()

    def step(self, action):
        self.place = max(0, self.place + (1 if action == 1 else -1))
        return self._observe(), -1.0, self.place == self.length, {}

    def render(self, mode="rgb_array"):
        picture = np.full((32, 32 * (self.length + 1), 3), 255, np.uint8)
        picture[:, 32 * self.place : 32 * (self.place + 1)] = (200, 60, 40)
        return picture

    def seed(self, seed=None):
        return [seed]

    def _observe(self):
        return np.array([self.place / self.length], np.float32)


ENVS = {"corridor": lambda env_config: Corridor(**env_config)}
