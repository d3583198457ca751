"""The exported policies of a model that has several, and how they play their agents."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional, Union

from rl_app.envs.contract.agents import has_agents
from rl_app.errors import UserError
from rl_app.job.agents import ONE, POLICIES, TABLE, UNSEEN, Table, policy_of
from rl_app.job.values import joined
from rl_app.policy import signature
from rl_app.policy.episodes import Exported, Player, seeds
from rl_app.policy.facts import names_several
from rl_app.policy.loading import read_facts
from rl_app.policy.policy import Policy
from rl_app.storage.artifacts import POLICY


@dataclass(frozen=True)
class Policies:
    """The policies of a model by name.

    Attributes:
        facts: what the model's policy.json holds.
        table: the policy by agent, of patterns or names.
    """

    facts: Mapping[str, Any]
    by_name: Mapping[str, Policy]
    table: Table

    @classmethod
    def load(cls, directory: Path) -> Policies:
        """Read the policies that policy.json names, each from its folder; raises UserError as :meth:`Policy.load`."""
        facts = read_facts(directory / POLICY)
        by_name = {name: Policy.load(directory / POLICIES / name) for name in facts[POLICIES]}
        return cls(facts, by_name, facts[TABLE])

    @property
    def engine(self) -> str:
        """What runs them."""
        return " and ".join(dict.fromkeys(policy.engine for policy in self.by_name.values()))

    @property
    def unsampled(self) -> Optional[str]:
        """Tells why actions cannot be sampled; None where those of all policies can."""
        return next((policy.unsampled for policy in self.by_name.values() if policy.unsampled), None)


OF_ONE: Table = {"*": ONE}
"""Whose the policy of a model is that names none."""
Model = Union[Policy, Policies]
"""What a model directory holds."""


def model_of(directory: Path) -> Model:
    """Load a model, of one policy or of several; raises UserError as :meth:`Policy.load`."""
    several = not signature.is_without_facts(directory) and names_several(read_facts(directory / POLICY))
    return Policies.load(directory) if several else Policy.load(directory)


class Playing:
    """Plays each agent by a player of its own, which is made of its policy when the agent is first seen.

    In each episode an agent's sampled actions are drawn by a seed of its own.

    Args:
        table: the policy by agent, of patterns or names.
        player_of: makes a player of the policy of that name.

    Raises:
        UserError: an agent is seen whose policy the model does not have.
    """

    def __init__(self, table: Table, player_of: Callable[[str], Player]) -> None:
        self._table, self._player_of = table, player_of
        self._players: Dict[Any, Player] = {}
        self._playing: List[Any] = []
        self._seed: Optional[int] = None

    def begin(self, seed: Optional[int]) -> None:
        self._playing, self._seed = [], seed

    def act(self, observation: Mapping[Any, Any], reward: Any) -> Mapping[Any, Any]:
        given = reward or {}
        return {agent: self._player(agent).act(seen, given.get(agent, 0.0)) for agent, seen in observation.items()}

    def _player(self, agent: Any) -> Player:
        if agent not in self._players:
            self._players[agent] = self._player_of(self.policy_of(agent))
        if agent not in self._playing:
            self._playing.append(agent)
            number = len(self._playing)
            self._players[agent].begin(None if self._seed is None else seeds(self._seed, number)[-1])
        return self._players[agent]

    def policy_of(self, agent: Any) -> str:
        """Return the name of an agent's policy."""
        policy = policy_of(agent, self._table)
        if policy is None:
            known = joined(self._table)
            raise UserError(f"{TABLE}: the model has no policy for the agent {agent}; it knows {known}; {UNSEEN}")
        return policy


def player_in(env: Any, model: Model, deterministic: bool = True) -> Union[Player, Playing]:
    """Return what plays an exported model in a checked environment, without Ray: a player, or one of several agents."""
    if isinstance(model, Policies):
        named = model.by_name
        return Playing(model.table, lambda name: Exported(named[name], deterministic))
    one = model
    return Playing(OF_ONE, lambda _: Exported(one, deterministic)) if has_agents(env) else Exported(one, deterministic)
