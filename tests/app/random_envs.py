"""Small environments drawn at random: spaces, lengths of episodes and rewards."""

from __future__ import annotations

from typing import Any, Dict, Optional, Tuple

import gym
import numpy as np
from gym import spaces


class RandomEnv(gym.Env):  # type: ignore[misc]  # gym has no types
    """Another one for each ``number``, of numbers up to ``width``; what it gives hangs on the actions too."""

    def __init__(self, number: int, width: float = 50.0) -> None:
        rng = np.random.default_rng(number)
        size = int(rng.integers(1, 5))
        self.observation_space = (
            spaces.Box(-width, width, (size,), np.float32),
            spaces.Box(-width, width, (2, size), np.float64),
            spaces.Discrete(size + 1),
            spaces.Dict({"a": spaces.Box(-width, width, (size,), np.float32), "b": spaces.Discrete(3)}),
            spaces.MultiBinary(size),
        )[number % 5]
        self.action_space = (
            spaces.Discrete(int(rng.integers(2, 5))),
            spaces.Box(-0.5, 0.5, (size,), np.float32),
            spaces.MultiDiscrete([2, 3]),
        )[number % 3]
        self._end, self._scale = float(rng.uniform(0.02, 0.3)), float(10 ** rng.uniform(-1, 1))
        self.seed(0)

    def seed(self, seed: Optional[int] = None) -> Any:
        self._rng = np.random.default_rng(seed)
        self.observation_space.seed(seed)

    def reset(self, **_: Any) -> Any:
        return self.observation_space.sample()

    def step(self, action: Any) -> Tuple[Any, float, bool, Dict[str, Any]]:
        reward = self._scale * (self._rng.normal() + float(np.sum(action)))
        return self.observation_space.sample(), reward, bool(self._rng.random() < self._end), {"action": np.sum(action)}
