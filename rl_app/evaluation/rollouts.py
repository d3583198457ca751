"""A candidate that plays, and the episodes it has played."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, NamedTuple

from rl_app.evaluation.candidate import Candidate
from rl_app.policy.episodes import Player


class Episode(NamedTuple):
    """``cut``: after ``max_steps``, before the environment said that it was done."""

    seed: int
    reward: float
    length: int
    cut: bool


@dataclass
class Rollout:
    """A candidate that plays, with the environment of its own and what it has done so far."""

    candidate: Candidate
    facts: Mapping[str, Any]
    engine: str
    player: Player
    env: Any
    episodes: List[Episode] = field(default_factory=list)
    videos: List[Dict[str, Any]] = field(default_factory=list)

    @property
    def rewards(self) -> List[float]:
        return [episode.reward for episode in self.episodes]
