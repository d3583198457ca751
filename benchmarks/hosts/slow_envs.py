"""Environments whose step takes a time: by waiting, so that not the cores are the limit, or by computing.

Each host imports it, and jobs have it for their source.
"""

from __future__ import annotations

import socket
import time
from typing import Any, Dict, Tuple

import gym
import numpy as np


class Waiting(gym.Env):
    """Waits `step_s` seconds a step, on the host `slow_host` `slower` times as long; an episode has 100."""

    observation_space = gym.spaces.Box(-1.0, 1.0, (4,), np.float32)
    action_space = gym.spaces.Discrete(2)

    def __init__(self, env_config: Dict[str, Any]) -> None:
        self._step_s, self._steps = float(env_config["step_s"]), 0
        if env_config.get("slower", 1) != 1 and is_here(env_config["slow_host"]):
            self._step_s *= env_config["slower"]

    def reset(self) -> np.ndarray:
        self._steps = 0
        return np.zeros(4, np.float32)

    def step(self, action: int) -> Tuple[np.ndarray, float, bool, Dict[str, Any]]:
        self._take(self._step_s)
        self._steps += 1
        return np.full(4, 0.5, np.float32), 1.0, self._steps == 100, {}

    def _take(self, seconds: float) -> None:
        time.sleep(seconds)


class Busy(Waiting):
    """Computes for as long."""

    def _take(self, seconds: float) -> None:
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            pass


def is_here(host: str) -> bool:
    """Whether this is the host of that name."""
    return socket.gethostbyname(host) == socket.gethostbyname(socket.gethostname())


ENVS = {"Busy": Busy, "Waiting": Waiting}
