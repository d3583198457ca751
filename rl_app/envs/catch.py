"""A game seen as pixels: balls fall, bouncing off the walls, and a paddle catches them."""

from __future__ import annotations

from typing import Any, ClassVar, Dict, Optional, Tuple

import gym
import numpy as np
from gym import spaces

Pixels = Any  # np.ndarray, which has no parameters on Python 3.8

CELLS = 14
CELL_PX = 3
SIZE_PX = CELLS * CELL_PX  # 42: one of the two sizes that RLlib has a network of convolutions for
PADDLE_CELLS = 3
BALLS = 5
LEFT, STAY, RIGHT = range(3)

SCREEN_PX = 8
BACKGROUND, BALL, PADDLE = (245, 245, 245), (200, 70, 60), (40, 90, 170)


class Catch(gym.Env):  # type: ignore[misc]  # gym has no types
    """Reward: 1 for a ball that is caught, -1 for one that is not; after five balls the episode ends.

    Actions: the paddle goes one cell to the left, stays, goes one to the right. Each ball starts anywhere at the
    top and drifts by a column a row to one side or to none.

    Observation:
        float32 ``[42, 42, 2]``: the picture now and the one before, without which no one knows the drift; 0 is
        empty, 1 a ball, 0.5 the paddle.
    """

    metadata: ClassVar[Dict[str, Any]] = {"render.modes": ["rgb_array"], "video.frames_per_second": 15}
    action_space = spaces.Discrete(3)
    observation_space = spaces.Box(0.0, 1.0, (SIZE_PX, SIZE_PX, 2), np.float32)

    def __init__(self) -> None:
        self._before = self._now = np.zeros((CELLS, CELLS), np.float32)
        self._paddle = 0  # its leftmost column
        self._row = self._column = self._drift = 0
        self._balls = 0

    def reset(self, *, seed: Optional[int] = None, return_info: bool = False, options: Any = None) -> Any:
        super().reset(seed=seed)
        self._paddle, self._balls = (CELLS - PADDLE_CELLS) // 2, 0
        self._throw()
        self._now = self._draw()
        observation = self._observe()
        return (observation, {}) if return_info else observation

    def step(self, action: int) -> Tuple[Pixels, float, bool, Dict[str, Any]]:
        self._paddle = min(max(self._paddle + action - STAY, 0), CELLS - PADDLE_CELLS)
        self._fall()
        reward, done = 0.0, False
        if self._row == CELLS - 1:
            reward = 1.0 if 0 <= self._column - self._paddle < PADDLE_CELLS else -1.0
            self._balls += 1
            done = self._balls == BALLS
        observation = self._observe()
        if reward:
            self._throw()
        return observation, reward, done, {}

    def _throw(self) -> None:
        self._row, self._column = 0, int(self.np_random.integers(CELLS))
        self._drift = int(self.np_random.integers(-1, 2))

    def _fall(self) -> None:
        if not 0 <= self._column + self._drift < CELLS:
            self._drift = -self._drift
        self._row, self._column = self._row + 1, self._column + self._drift

    def _draw(self) -> Pixels:
        cells = np.zeros((CELLS, CELLS), np.float32)
        cells[-1, self._paddle : self._paddle + PADDLE_CELLS] = 0.5
        cells[self._row, self._column] = 1.0
        return cells

    def _observe(self) -> Pixels:
        self._before, self._now = self._now, self._draw()
        return np.stack([self._now, self._before], axis=-1).repeat(CELL_PX, 0).repeat(CELL_PX, 1)

    def render(self, mode: str = "rgb_array") -> Any:
        """Return a picture, uint8 ``[height, width, 3]``."""
        if mode != "rgb_array":
            return super().render(mode=mode)
        colours = np.array([BACKGROUND, PADDLE, BALL], np.uint8)
        return colours[(2 * self._now).astype(int)].repeat(SCREEN_PX, 0).repeat(SCREEN_PX, 1)
