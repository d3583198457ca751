"""Models of several policies, and environments of several agents, as an evaluation plays them."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Tuple, Union

from rl_app.envs.contract.agents import SPACES, has_agents
from rl_app.errors import UserError
from rl_app.evaluation.candidate import Candidate
from rl_app.job.agents import ONE, POLICIES, TABLE, UNSEEN, policy_of
from rl_app.policy.episodes import Player
from rl_app.policy.loading import facts_of_policies
from rl_app.policy.policies import OF_ONE, Playing
from rl_app.policy.restored_agent import Restored
from rl_app.spaces.description import Space, outline
from rl_app.spaces.gym_spaces import gym_space


def common_spaces(env: Any, name: str) -> Tuple[Space, Space]:
    """Return what one policy sees and does in an environment; raises UserError where its agents differ."""
    declared: Optional[Tuple[Space, Space]] = getattr(env, "declared", None)
    if declared is None:
        raise UserError(f"env = {name}: its agents have spaces of their own, and the model has one policy")
    return declared


def restored(trainer: Any, env: Any, deterministic: bool) -> Union[Player, Playing]:
    """Return what plays an agent that Ray has restored."""
    if not has_agents(env):
        return Restored(trainer, env, deterministic)
    table = trainer.several.table if trainer.several else OF_ONE
    return Playing(table, lambda policy: Restored(trainer, env, deterministic, policy))


def check_spaces(candidate: Candidate, env: Any, name: str) -> None:
    """Refuse an environment in whose agents the policies of a model cannot see or act.

    Raises:
        UserError: it has one agent, or one for which there is no policy, or one with other spaces.
    """
    if not has_agents(env):
        raise UserError(
            f"env = {name}: has one agent, and {candidate.name} has {len(candidate.facts[POLICIES])} policies"
        )
    facts = facts_of_policies(candidate.directory, candidate.facts)
    env.reset()
    for agent, checks in env.known.items():
        policy = policy_of(agent, candidate.facts[TABLE])
        if policy is None:
            known = ", ".join(candidate.facts[TABLE])
            raise UserError(
                f"env = {name}: {candidate.name} has no policy for the agent {agent}; it has some for {known}; {UNSEEN}"
            )
        for kind, there in zip(SPACES, checks.declared):
            if outline(there) != outline(facts[policy][kind]):
                raise UserError(
                    f"env = {name}: the {kind} of the agent {agent} is not that with which {candidate.name}'s policy "
                    f"{policy} was trained"
                )


class TrainedSpaces:
    """Gives the spaces of an agent by what its policy was trained with, for an environment that declares none."""

    def __init__(self, candidate: Candidate) -> None:
        self._table = candidate.facts[TABLE]
        self._facts = facts_of_policies(candidate.directory, candidate.facts)

    def __call__(self, agent: Any) -> Optional[Tuple[Any, Any]]:
        facts = self._facts.get(policy_of(agent, self._table) or "")
        return (gym_space(facts[SPACES[0]]), gym_space(facts[SPACES[1]])) if facts else None


def by_policy(player: Union[Player, Playing], rewards: Mapping[Any, float]) -> Dict[str, float]:
    """Return the mean reward of an agent of each policy in an episode; {} where the policies have no names."""
    if not isinstance(player, Playing):
        return {}
    found: Dict[str, List[float]] = {}
    for agent, reward in rewards.items():
        found.setdefault(player.policy_of(agent), []).append(reward)
    return {policy: sum(each) / len(each) for policy, each in found.items() if policy != ONE}
