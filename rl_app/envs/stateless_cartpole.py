"""CartPole without its velocities, which a policy has to infer from what it saw before."""

from __future__ import annotations

from typing import Any

import gym
import numpy as np
from gym import spaces

SEEN = [0, 2]


class StatelessCartPole(gym.ObservationWrapper):  # type: ignore[misc]  # gym has no types
    """CartPole-v1 whose observation is the cart's position [m] and the pole's angle [rad], float32 ``[2]``."""

    def __init__(self) -> None:
        super().__init__(gym.make("CartPole-v1"))
        whole = self.env.observation_space
        self.observation_space = spaces.Box(whole.low[SEEN], whole.high[SEEN], dtype=np.float32)

    def observation(self, observation: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return observation[SEEN]
