"""An environment in which not every action is allowed: `scripts/train masking --source examples/masking`"""

import gym
import numpy as np


class Pegs(gym.Env):
    """Put a peg into each of some holes, the most valuable first. A hole that is filled takes no other.

    Observation: ``values`` of the holes, and ``action_mask``, 1 where an action is allowed. Reward: the hole's value,
    less with each step.
    """

    def __init__(self, holes=4):
        self.observation_space = gym.spaces.Dict(
            {
                "action_mask": gym.spaces.Box(0.0, 1.0, (holes,), np.float32),
                "values": gym.spaces.Box(0.0, 1.0, (holes,), np.float32),
            }
        )
        self.action_space = gym.spaces.Discrete(holes)
        self.seed(0)

    def seed(self, seed=None):
        self.random = np.random.RandomState(seed)
        return [seed]

    def reset(self):
        self.values = self.random.uniform(size=self.action_space.n).astype(np.float32)
        self.empty = np.ones(self.action_space.n, np.float32)
        return self._observe()

    def step(self, action):
        if not self.empty[action]:
            raise ValueError(f"hole {action} is filled")
        reward = float(self.values[action] * self.empty.mean())
        self.empty[action] = 0.0
        return self._observe(), reward, not self.empty.any(), {}

    def _observe(self):
        return {"action_mask": self.empty.copy(), "values": self.values}


ENVS = {"pegs": lambda env_config: Pegs(**env_config)}
