"""The policies of a job that trains several, as RLlib 0.8.5 takes them and as its model names them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Dict, Iterator, List, Mapping, Optional, Tuple

from rl_app.envs.contract.agents import has_agents
from rl_app.errors import UserError
from rl_app.job import agents
from rl_app.job.agents import Table
from rl_app.job.values import joined
from rl_app.spaces.description import Space, describe

Spaces = Tuple[Space, Space]


@dataclass(frozen=True)
class Several:
    """Holds whose the policies are, and what each of them sees and does.

    Attributes:
        table: the policy by agent, of patterns or names.
        spaces: of each policy the observation and action space that its agents have.
        multiagent: what the trial's config says.
    """

    table: Table
    spaces: Mapping[str, Spaces]
    multiagent: Mapping[str, Any] = field(default_factory=dict)

    def rllibs(self, config: Mapping[str, Any]) -> Dict[str, Any]:
        """Return the config with the policies as RLlib takes them, with the spaces that it is shown."""
        from rl_app.envs.contract.rllib_spaces import seen_actions, seen_observations
        from rl_app.policy.lstm import with_lstm

        own = self.multiagent[agents.POLICIES]
        policies = {
            name: (
                None if isinstance(own[name], Mapping) or not own[name] else own[name][0],
                seen_observations(observations),
                seen_actions(actions),
                with_lstm(agents.settings(own[name]), config),
            )
            for name, (observations, actions) in self.spaces.items()
        }
        multiagent = {
            agents.POLICIES: policies,
            agents.FUNCTION: Chosen(self.table, self.multiagent.get(agents.FUNCTION), list(own)),
            agents.TRAINED: self.multiagent.get(agents.TRAINED),
        }
        return {**config, "multiagent": multiagent}

    def written(self, config: Mapping[str, Any]) -> Dict[str, Any]:
        """Return the config as files have it, from which an agent is restored."""
        return {**config, "multiagent": agents.written(self.multiagent, self.table)}

    def as_played(self, trainer: Any) -> Several:
        """Return the same, with the agents of the last episodes where a function tells whose a policy is.

        Before training few agents are seen of an environment in which they come and go.
        """
        if agents.table(self.multiagent) is not None:
            return self
        episodes = getattr(getattr(trainer, "optimizer", None), "episode_history", [])
        played = (agent for episode in episodes for agent in getattr(episode, "agent_rewards", {}))
        return replace(self, table={**self.table, **{str(agent): policy for agent, policy in played}})


class Chosen:
    """Tells RLlib an agent's policy."""

    def __init__(self, table: Table, function: Any, known: List[str]) -> None:
        self._table, self._function, self._known = table, function, known

    def __call__(self, agent: Any) -> str:
        policy = self._function(agent) if self._function else agents.policy_of(agent, self._table)
        if policy in self._known:
            return str(policy)
        what = f"{agents.PATH}.{agents.TABLE}: nothing fits the agent {agent}, of {joined(self._table)}"
        if self._function:
            what = f"{agents.PATH}.{agents.FUNCTION} gave {policy!r} for the agent {agent}"
        raise UserError(f"{what}: the policies are {joined(self._known)}")


def given_spaces(multiagent: Mapping[str, Any]) -> Any:
    """Return what gives the spaces of an agent's policy, where the job's policies have some; else None."""
    own = {name: policy for name, policy in (multiagent.get(agents.POLICIES) or {}).items() if _has_spaces(policy)}
    return Given(multiagent, own) if own else None


def _has_spaces(policy: Any) -> bool:
    return isinstance(policy, (tuple, list)) and policy[1] is not None and policy[2] is not None


class Given:
    """Gives an agent's spaces by its policy."""

    def __init__(self, multiagent: Mapping[str, Any], own: Mapping[str, Any]) -> None:
        self._chosen = _chosen(multiagent)
        self._own = own

    def __call__(self, agent: Any) -> Optional[Tuple[Any, Any]]:
        policy = self._own.get(self._chosen(agent))
        return (policy[1], policy[2]) if policy else None


def _chosen(multiagent: Mapping[str, Any]) -> Chosen:
    known = list(multiagent[agents.POLICIES])
    return Chosen(agents.table(multiagent) or {}, multiagent.get(agents.FUNCTION), known)


def found(env: Any, name: str, multiagent: Mapping[str, Any]) -> Several:
    """Find whose the policies are in an environment whose agents have been seen.

    A function is asked once for each of them, so that the model has a table.

    Raises:
        UserError: an agent has no policy, or a policy no agent; agents of one policy have different spaces.
    """
    if not has_agents(env):
        raise UserError(
            f"{agents.PATH}.{agents.POLICIES}: env = {name} has one agent: it is no ray.rllib.env.MultiAgentEnv"
        )
    chosen, table = _chosen(multiagent), agents.table(multiagent)
    by_policy: Dict[str, Dict[Any, Spaces]] = {policy: {} for policy in multiagent[agents.POLICIES]}
    for agent, checks in env.known.items():
        by_policy[chosen(agent)][agent] = checks.declared
    spaces = {policy: _spaces(policy, seen, env, name, multiagent) for policy, seen in by_policy.items()}
    asked = {str(agent): policy for policy, seen in by_policy.items() for agent in seen}
    return Several(asked if table is None else table, spaces, multiagent)


def check_one(env: Any, name: str) -> None:
    """Raise UserError where the agents of an environment cannot share the one policy of a job that names none."""
    if has_agents(env) and env.common is None:
        raise UserError(
            f"env = {name}: its agents have spaces of their own, and one policy: {agents.PATH}.{agents.POLICIES} has "
            f"to name one of each; there are the agents {joined(env.known)}"
        )


def _spaces(policy: str, seen: Mapping[Any, Spaces], env: Any, name: str, multiagent: Mapping[str, Any]) -> Spaces:
    if not seen:
        return _of_nobody(policy, env, name, multiagent)
    first, *others = seen
    for other in others:
        if seen[other] != seen[first]:
            raise UserError(
                f"env = {name}: the agents {first} and {other} have different spaces and the one policy {policy}: "
                f"{agents.PATH}.{agents.POLICIES} has to have one of each"
            )
    return seen[first]


def _of_nobody(policy: str, env: Any, name: str, multiagent: Mapping[str, Any]) -> Spaces:
    """Return the spaces of a policy whose agents were not seen yet."""
    own = multiagent[agents.POLICIES][policy]
    if _has_spaces(own):
        return describe(own[1]), describe(own[2])
    common = env.common
    if common is None:
        raise UserError(
            f"{agents.PATH}.{agents.POLICIES}.{policy}: no agent of env = {name} has it, so its spaces are not known; "
            f"there are the agents {joined(env.known)}"
        )
    declared: Spaces = common.declared
    return declared


def policy_names(trainer: Any) -> Iterator[str]:
    """Yield the names of a trainer's policies, as RLlib has them."""
    yield from trainer.workers.local_worker().policy_map
