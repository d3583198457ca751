"""Table tennis for two: both players are agents of one environment, and learn by playing against each other."""

from __future__ import annotations

from typing import Any, Dict, Tuple

import numpy as np
from gym import spaces
from ray.rllib.env import MultiAgentEnv

PLAYERS = ("near", "far")
WIDTH, LENGTH = 7, 8
LEFT, STAY, RIGHT = -1, 0, 1
PIXELS = 24


class Rally(MultiAgentEnv):
    """Two bats, one at either end of the table, and a ball that goes one field a step.

    A player sees the table from its own end, so that one policy can play at both: where its own bat, the other's and
    the ball are, how far off the ball is, and where it goes. It moves its bat to a side or stays, and returns the ball
    to the side to which it moves as it is hit. A return is worth 1; a miss costs its player 1, is worth 1 to the other,
    and ends the episode, as the last of ``returns`` returns does.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 8}  # noqa: RUF012  # as gym has it
    observation_space = spaces.Box(-1.0, 1.0, (6,), np.float32)
    action_space = spaces.Discrete(3)

    def __init__(self, returns: int = 20) -> None:
        self._most = returns
        self._rng = np.random.default_rng()

    def seed(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)

    def reset(self) -> Dict[str, Any]:
        self._bats = dict.fromkeys(PLAYERS, WIDTH // 2)
        self._ball, self._row = int(self._rng.integers(WIDTH)), LENGTH // 2
        self._aside, self._ahead = int(self._rng.integers(-1, 2)), int(self._rng.choice((-1, 1)))
        self._returns = 0
        return self._seen()

    def step(self, actions: Dict[str, int]) -> Tuple[Dict[str, Any], Dict[str, float], Dict[str, bool], Dict[str, Any]]:
        for player, action in actions.items():
            self._bats[player] = int(np.clip(self._bats[player] + self._side(player, action), 0, WIDTH - 1))
        self._fly()
        rewards, over = dict.fromkeys(PLAYERS, 0.0), False
        if self._row in (0, LENGTH):
            player, other = PLAYERS if self._row == 0 else PLAYERS[::-1]
            over = self._bats[player] != self._ball
            rewards[player], rewards[other] = (-1.0, 1.0) if over else (1.0, 0.0)
            self._returns += not over
            self._ahead, self._aside = -self._ahead, self._side(player, actions[player])
        return self._seen(), rewards, {"__all__": over or self._returns == self._most}, {}

    def render(self, mode: str = "rgb_array") -> Any:
        picture = np.full((LENGTH + 1, WIDTH, 3), 40, np.uint8)
        picture[0, self._bats["near"]], picture[LENGTH, self._bats["far"]] = (90, 160, 250), (250, 160, 90)
        picture[self._row, self._ball] = 255
        return np.kron(picture, np.ones((PIXELS, PIXELS, 1), np.uint8))

    def _side(self, player: str, action: int) -> int:
        """Give where on the table a player's left and right are."""
        side = (LEFT, STAY, RIGHT)[action]
        return side if player == "near" else -side

    def _fly(self) -> None:
        self._row += self._ahead
        if not 0 <= self._ball + self._aside < WIDTH:
            self._aside = -self._aside
        self._ball += self._aside

    def _seen(self) -> Dict[str, Any]:
        return {"near": self._from(1, "near", "far"), "far": self._from(-1, "far", "near")}

    def _from(self, end: int, own: str, other: str) -> Any:
        across = [end * (2 * place / (WIDTH - 1) - 1) for place in (self._bats[own], self._bats[other], self._ball)]
        along = end * (2 * self._row / LENGTH - 1)
        return np.array([*across, along, end * self._aside, end * self._ahead], np.float32)


ENVS = {"Rally-v0": lambda env_config: Rally(**env_config)}
