"""CartPole-v1 many times at once: what Gym's gives, to the bit, at a quarter of its time."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any, Dict, List, Optional, Tuple

import gym
import numpy as np
from gym.envs.classic_control import CartPoleEnv
from gym.utils import seeding
from ray.rllib.env import VectorEnv

NAME = "CartPole-v1"
CONSTANTS = ("gravity", "masspole", "total_mass", "length", "polemass_length", "tau")


class VectorCartPole(VectorEnv):  # type: ignore[misc]  # Ray has no types
    """Steps ``num_envs`` of Gym's CartPole-v1, with its limit of steps.

    The operations and their order are Gym's. Sines, cosines and squares are those of Python's floats, as Gym has
    them: numpy's own differ in the last bit where the processor has wide vectors.
    """

    def __init__(self, num_envs: int) -> None:
        one = CartPoleEnv()  # for its constants
        self.num_envs = num_envs
        self.observation_space, self.action_space = one.observation_space, one.action_space
        constants = {"four_thirds": 4.0 / 3.0, **{name: getattr(one, name) for name in CONSTANTS}}
        # numpy takes a vector in half the time of a number
        self._each = SimpleNamespace(**{name: np.full(num_envs, value) for name, value in constants.items()})
        self._forces = np.array([-one.force_mag, one.force_mag])
        self._most_away = np.array([[one.x_threshold], [one.theta_threshold_radians]])
        self._rewards = np.ones(num_envs)
        self._rewards.flags.writeable = False
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
        each = self._each
        _, velocity, angle, turning = self._states
        angles = angle.tolist()
        cosines = list(map(math.cos, angles))
        cos, sin = np.array(cosines), np.array(list(map(math.sin, angles)))
        force = self._forces.take(actions)
        temp = (force + each.polemass_length * squares(turning.tolist()) * sin) / each.total_mass
        turning_faster = (each.gravity * sin - cos * temp) / (
            each.length * (each.four_thirds - each.masspole * squares(cosines) / each.total_mass)
        )
        faster = temp - each.polemass_length * turning_faster * cos / each.total_mass
        self._states = self._states + each.tau * np.array([velocity, faster, turning, turning_faster])
        self._steps += 1
        away = np.abs(self._states[::2])  # position and angle
        over = np.logical_or.reduce(away > self._most_away)
        infos: List[Dict[str, Any]] = [{} for _ in range(self.num_envs)]
        if np.maximum.reduce(self._steps) < self._most_steps:
            return self._states.T.astype(np.float32), self._rewards, over, infos
        late = self._steps >= self._most_steps
        for index in np.flatnonzero(late):
            infos[index]["TimeLimit.truncated"] = not over[index]
        return self._states.T.astype(np.float32), self._rewards, over | late, infos

    def get_unwrapped(self) -> List[gym.Env]:
        return []


def squares(numbers: List[float]) -> Any:
    """Square each number as Python does: by the C library's power, which may differ from a product."""
    return np.array([number**2.0 for number in numbers])
