"""A candidate that plays, and the episodes it has played."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, NamedTuple, Union

from rl_app.evaluation.candidate import Candidate
from rl_app.policy.episodes import Player
from rl_app.policy.policies import Playing


class Episode(NamedTuple):
    """``cut``: after ``max_steps``, before the environment said that it was done.

    Of several agents ``reward`` is the sum, and ``policies`` has the mean of each policy's agents, by its name.
    """

    seed: int
    reward: float
    length: int
    cut: bool
    policies: Mapping[str, float] = {}

    @property
    def data(self) -> Dict[str, Any]:
        """The episode as JSON holds it."""
        return {key: value for key, value in self._asdict().items() if key != "policies" or value}


@dataclass
class Rollout:
    """A candidate that plays, with the environment of its own and what it has done so far."""

    candidate: Candidate
    facts: Mapping[str, Any]
    engine: str
    player: Union[Player, Playing]
    env: Any
    episodes: List[Episode] = field(default_factory=list)
    videos: List[Dict[str, Any]] = field(default_factory=list)

    @property
    def rewards(self) -> List[float]:
        return [episode.reward for episode in self.episodes]

    @property
    def policies(self) -> Dict[str, List[float]]:
        """The rewards of each policy that has a name, one an episode in which it played."""
        names = dict.fromkeys(name for episode in self.episodes for name in episode.policies)
        return {name: [each.policies[name] for each in self.episodes if name in each.policies] for name in names}
