"""A courier with an electric bicycle: parcels from the depot to the houses, before the battery is flat.

Its observations are a Dict of three kinds of spaces.
"""

from __future__ import annotations

from typing import Any, ClassVar, Dict, List, Optional, Tuple

import gym
import numpy as np
from gym import spaces

Place = Tuple[int, int]
Observation = Dict[str, Any]

SIZE = 5
DEPOT: Place = (2, 2)
CHARGER: Place = (2, 0)
HOUSES: List[Place] = [(0, 0), (0, 4), (4, 0), (4, 4)]
MOVES: List[Place] = [(-1, 0), (0, 1), (1, 0), (0, -1)]
PARCELS_AT_ONCE = 2
BATTERY_MOVES = 20
SHIFT_MOVES = 100

CELL_PX = 64
BAR_PX = 32
PARCEL_PX = 12
STREET, DEPOT_COLOUR, CHARGER_COLOUR = (205, 205, 205), (140, 100, 60), (240, 190, 40)
HOUSE, AWAITING, COURIER, PARCEL = (150, 170, 190), (200, 70, 60), (40, 90, 170), (225, 190, 140)
FULL, LOW, BACKGROUND = (70, 160, 90), (200, 70, 60), (245, 245, 245)


class Courier(gym.Env):  # type: ignore[misc]  # gym has no types
    """Reward: 1 for a parcel delivered, -1 for a flat battery, which ends the shift; else it ends after 100 moves.

    Actions: a move to the north, east, south or west; one against the wall costs its charge too. At the depot an
    empty bag is filled with parcels for two of the four houses, at the charger the battery.

    Observation:
        battery: float32 ``[1]``, the charge that is left, 0 to 1.
        parcels: int8 ``[4]``, 1 for each house that a parcel in the bag is for.
        position: row times 5 plus column.
    """

    metadata: ClassVar[Dict[str, Any]] = {"render.modes": ["rgb_array"], "video.frames_per_second": 8}
    action_space = spaces.Discrete(len(MOVES))
    observation_space = spaces.Dict(
        {
            "battery": spaces.Box(0.0, 1.0, (1,), np.float32),
            "parcels": spaces.MultiBinary(len(HOUSES)),
            "position": spaces.Discrete(SIZE * SIZE),
        }
    )

    def __init__(self) -> None:
        self._place = DEPOT
        self._parcels = np.zeros(len(HOUSES), np.int8)
        self._charge = BATTERY_MOVES
        self._moves = 0

    def reset(self, *, seed: Optional[int] = None, return_info: bool = False, options: Any = None) -> Any:
        super().reset(seed=seed)
        self._place, self._charge, self._moves = DEPOT, BATTERY_MOVES, 0
        self._load()
        return (self._observe(), {}) if return_info else self._observe()

    def step(self, action: int) -> Tuple[Observation, float, bool, Dict[str, Any]]:
        row, column = np.clip(np.add(self._place, MOVES[action]), 0, SIZE - 1)
        self._place = (int(row), int(column))
        self._charge -= 1
        self._moves += 1
        reward = float(self._deliver())
        if self._place == DEPOT and not self._parcels.any():
            self._load()
        if self._place == CHARGER:
            self._charge = BATTERY_MOVES
        flat = self._charge == 0
        return self._observe(), reward - flat, flat or self._moves == SHIFT_MOVES, {}

    def _load(self) -> None:
        addressed = self.np_random.choice(len(HOUSES), PARCELS_AT_ONCE, replace=False)
        self._parcels = np.zeros(len(HOUSES), np.int8)
        self._parcels[addressed] = 1

    def _deliver(self) -> bool:
        if self._place not in HOUSES:
            return False
        house = HOUSES.index(self._place)
        delivered = bool(self._parcels[house])
        self._parcels[house] = 0
        return delivered

    def _observe(self) -> Observation:
        row, column = self._place
        return {
            "battery": np.array([self._charge / BATTERY_MOVES], np.float32),
            "parcels": self._parcels.copy(),
            "position": row * SIZE + column,
        }

    def render(self, mode: str = "rgb_array") -> Any:
        """Return a picture, uint8 ``[height, width, 3]``: the streets from above, and how full the battery is."""
        import pygame

        if mode != "rgb_array":
            return super().render(mode=mode)
        width = SIZE * CELL_PX
        surface = pygame.Surface((width, width + BAR_PX))
        surface.fill(BACKGROUND)
        for line in range(SIZE):
            middle = line * CELL_PX + CELL_PX // 2
            pygame.draw.line(surface, STREET, (0, middle), (width, middle), CELL_PX // 4)
            pygame.draw.line(surface, STREET, (middle, 0), (middle, width), CELL_PX // 4)
        pygame.draw.rect(surface, DEPOT_COLOUR, _square(DEPOT, 0.7))
        pygame.draw.rect(surface, CHARGER_COLOUR, _square(CHARGER, 0.7))
        pygame.draw.polygon(surface, BACKGROUND, _points(CHARGER, BOLT))
        for house, parcel in zip(HOUSES, self._parcels):
            pygame.draw.polygon(surface, AWAITING if parcel else HOUSE, _points(house, GABLE))
        pygame.draw.circle(surface, COURIER, _points(self._place, [(0.5, 0.5)])[0], CELL_PX // 4)
        for i in range(int(self._parcels.sum())):
            left, top = _points(self._place, [(0.3 + 0.22 * i, 0.4)])[0]
            pygame.draw.rect(surface, PARCEL, (left, top, PARCEL_PX, PARCEL_PX))
        charge = self._charge / BATTERY_MOVES
        pygame.draw.rect(surface, FULL if charge > 0.3 else LOW, (0, width, int(width * charge), BAR_PX))
        return pygame.surfarray.array3d(surface).transpose(1, 0, 2)


# In parts of a cell, from its upper left corner.
GABLE = [(0.15, 0.9), (0.15, 0.45), (0.5, 0.1), (0.85, 0.45), (0.85, 0.9)]
BOLT = [(0.55, 0.2), (0.35, 0.55), (0.5, 0.55), (0.42, 0.8), (0.66, 0.44), (0.5, 0.44)]


def _points(place: Place, shape: List[Tuple[float, float]]) -> List[Tuple[int, int]]:
    """Return the shape in the cell ``place``, as pixels (x, y)."""
    row, column = place
    return [(int((column + x) * CELL_PX), int((row + y) * CELL_PX)) for x, y in shape]


def _square(place: Place, part: float) -> Tuple[int, int, int, int]:
    edge = int(part * CELL_PX)
    ((left, top),) = _points(place, [((1 - part) / 2, (1 - part) / 2)])
    return left, top, edge, edge
