"""An environment in the manner of Gym 0.26, as a user would write it."""

import gym
import numpy as np
from gym import spaces


class Lamps(gym.Env):
    """Press the button of the lamp that is lit; the fourth wrong one ends the episode, the twentieth press cuts it."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012  # as gym has it
    observation_space = spaces.Dict({"lit": spaces.Discrete(3), "pressed": spaces.Box(0.0, 1.0, (1,), np.float32)})
    action_space = spaces.Discrete(3, start=1)

    def __init__(self, env_config, render_mode=None):
        self.render_mode = render_mode

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.presses = self.wrong = 0
        return self._observe(), {}

    def step(self, action):
        right = action - 1 == self.lit
        self.presses += 1
        self.wrong += not right
        return self._observe(), float(right), self.wrong == 4, self.presses == 20, {"right": right}

    def render(self):
        picture = np.zeros((16, 48, 3), np.uint8)
        picture[:, 16 * self.lit : 16 * self.lit + 16] = 255
        return picture

    def _observe(self):
        self.lit = int(self.np_random.integers(3))
        return {"lit": self.lit, "pressed": np.array([self.presses / 20], np.float32)}


ENVS = {"lamps": Lamps, "lamps-unseen": lambda env_config: Lamps(env_config)}
