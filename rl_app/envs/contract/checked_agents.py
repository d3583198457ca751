"""An environment of several agents, RLlib's ``MultiAgentEnv``, whose every word is checked.

Each agent's observations and actions are held to that agent's spaces, as :mod:`rl_app.envs.contract.checked` holds
those of Gym's environments; what RLlib 0.8.5 wants of the dicts by agent, and asserts without a word, is told with the
line.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Set, Tuple

from gym import spaces
from ray.rllib.env import MultiAgentEnv

from rl_app.envs.contract.agents import SPACES
from rl_app.envs.contract.blame import defined, gave
from rl_app.envs.contract.checked import Manner
from rl_app.envs.contract.checks import Checks
from rl_app.envs.contract.observations import shown
from rl_app.envs.contract.watchdog import closed, watched
from rl_app.errors import UserError
from rl_app.spaces.description import describe

ALL = "__all__"
COLUMNS = ("observations", "rewards", "dones", "infos")
ByAgent = Dict[Any, Any]


class Place(NamedTuple):
    """An agent's place in an environment: the spaces of its own, and whose methods a person has written."""

    unwrapped: Any
    observation_space: Any
    action_space: Any


class CheckedAgents(MultiAgentEnv):  # type: ignore[misc]  # Ray has no types
    """Passes everything on; what goes wrong in the environment becomes one line that says so.

    Attributes:
        known: the checks of each agent that was seen, in the order in which they were.
    """

    def __init__(self, env: Any, name: str, manner: Manner) -> None:
        self.env, self._name, self._manner = env, name, manner
        self._watched = partial(watched, name, manner.deadline_s)
        self.known: Dict[Any, Checks] = {}
        self._playing: Set[Any] = set()
        self.metadata, self.spec = getattr(env, "metadata", {}), getattr(env, "spec", None)
        common = self.common
        if common:
            self.observation_space, self.action_space = common.observation_space, common.action_space
            self.declared = common.declared

    @property
    def unwrapped(self) -> Any:
        """What a person has written."""
        return self.env

    @property
    def common(self) -> Optional[Checks]:
        """The checks of any agent, where the environment has one space for all of them; else None."""
        own = [_one_of(getattr(self.env, which, None)) for which in SPACES]
        return None if None in own else Checks(Place(self.env, *own), self._name, self._manner)

    @property
    def named(self) -> List[Any]:
        """The agents that the environment declares spaces of, by name."""
        declared = getattr(self.env, SPACES[0], None)
        return list(declared) if isinstance(declared, dict) else []

    def checks_of(self, agent: Any) -> Checks:
        """Return the checks of an agent; raises UserError where its spaces are not known."""
        if agent not in self.known:
            self._check_sorted(agent)
            self.known[agent] = Checks(
                Place(self.env, *self._spaces_of(agent)), f"{self._name}, agent {agent}", self._manner
            )
        return self.known[agent]

    def seed(self, seed: Any = None) -> Any:
        return self._watched("seed", self.env.seed, seed) if hasattr(self.env, "seed") else None

    def close(self) -> None:
        """Close it, where it can be."""
        if hasattr(self.env, "close"):
            closed(self._name, self._manner.deadline_s, self.env.close)

    def render(self, mode: str = "human", **_: Any) -> Any:
        """Draw it; raises NotImplementedError where it has no ``render``."""
        if not hasattr(self.env, "render"):
            raise NotImplementedError(f"{type(self.env).__name__} has no render")
        return self.env.render(mode=mode)

    def reset(self) -> ByAgent:
        observations = self._by_agent("reset", "observations", self._watched("reset", self.env.reset))
        if not observations:
            raise self._wrong("reset", "no observation, so that nobody acts")
        self._check_by_agent(observations)
        self._playing = set(observations)
        return self._observed("reset", observations)

    def step(self, actions: Mapping[Any, Any]) -> Tuple[ByAgent, ByAgent, ByAgent, ByAgent]:
        acted = {agent: self.checks_of(agent).act(action) for agent, action in actions.items()}
        result = self._watched("step", self.env.step, acted)
        if not isinstance(result, tuple) or len(result) != len(COLUMNS):
            raise self._wrong("step", f"{shown(result)}: expected ({', '.join(COLUMNS)}), each a dict by agent")
        given = (self._by_agent("step", what, each) for what, each in zip(COLUMNS, result))
        observations, rewards, dones, infos = given
        self._check_rewarded(observations, rewards)
        over = self._dones(dones)
        self._check_last(observations, over)
        return (
            self._observed("step", observations),
            {agent: self._reward(agent, reward) for agent, reward in rewards.items()},
            over,
            {agent: self.checks_of(agent).info("step", infos[agent]) for agent in observations if agent in infos},
        )

    def __getattr__(self, name: str) -> Any:
        """Pass on what else the environment has, as Gym's wrappers do."""
        if name.startswith("_") or name == "env":
            raise AttributeError(name)
        return getattr(self.env, name)

    def _check_by_agent(self, observations: ByAgent) -> None:
        """Refuse a Dict of Gym's in which the agents' spaces stand, for it is the space of one agent's observations."""
        declared = getattr(self.env, SPACES[0], None)
        parts = set(declared.spaces) if isinstance(declared, spaces.Dict) else set()
        if parts.issuperset(observations) and not any(isinstance(each, Mapping) for each in observations.values()):
            kind = "is a Dict of Gym's, which is the space of one agent; give the spaces by agent as a dict of Python's"
            raise UserError(f"env = {self._name}: its {SPACES[0]} {kind}{defined(type(self.env))}")

    def _check_sorted(self, agent: Any) -> None:
        """Refuse an agent whose name cannot be sorted with the others', as RLlib sorts them at an episode's end."""
        for other in list(self.known)[:1]:
            try:
                sorted((other, agent))
            except TypeError:
                names = f"its agents {other!r} and {agent!r}"
                one_type = "RLlib sorts agents by name, and these cannot be compared: give all names one type"
                raise UserError(f"env = {self._name}: {names}: {one_type}{defined(type(self.env))}") from None

    def _spaces_of(self, agent: Any) -> Tuple[Any, ...]:
        """Return an agent's two spaces: those that the environment declares, else those that its policy has."""
        given = self._manner.spaces(agent) or (None, None)
        return tuple(self._space_of(agent, which, own) for which, own in zip(SPACES, given))

    def _space_of(self, agent: Any, which: str, given: Any) -> Any:
        declared = getattr(self.env, which, None)
        found = declared.get(agent) if isinstance(declared, dict) else declared
        if found is None and given is None:
            known = f": it has one for {', '.join(map(str, declared))}" if isinstance(declared, dict) else ""
            expected = "expected a space for all agents, or a dict with one of each"
            raise UserError(
                f"env = {self._name}: no {which} of the agent {agent}{known}; {expected}{defined(type(self.env))}"
            )
        if found is not None and given is not None and describe(found) != describe(given):
            raise UserError(
                f"env = {self._name}: its {which} of the agent {agent} is {found}, and its policy's is {given}: "
                f"leave out the policy's{defined(type(self.env))}"
            )
        return given if found is None else found

    def _wrong(self, where: str, what: str) -> UserError:
        return gave(self._name, self.env, where, what)

    def _by_agent(self, where: str, what: str, given: Any) -> ByAgent:
        if not isinstance(given, Mapping):
            raise self._wrong(where, f"{shown(given)} for {what}: expected a dict by agent")
        if ALL in given and what != "dones":
            raise self._wrong(where, f"{what} of {ALL}, which is no agent")
        return dict(given)

    def _observed(self, where: str, observations: ByAgent) -> ByAgent:
        return {agent: self.checks_of(agent).observed(where, each) for agent, each in observations.items()}

    def _check_rewarded(self, observations: ByAgent, rewards: ByAgent) -> None:
        """Refuse rewards of others than are observed: RLlib gives an agent its reward with its next observation."""
        together = "RLlib takes an agent's reward with its observation, and neither alone"
        for agent in rewards:
            if agent not in observations:
                raise self._wrong("step", f"a reward of {agent} and no observation: {together}")
        for agent in observations:
            if agent not in rewards:
                raise self._wrong("step", f"an observation of {agent} and no reward: {together}")

    def _reward(self, agent: Any, reward: Any) -> float:
        return 0.0 if reward is None else self.checks_of(agent).reward("step", reward)

    def _dones(self, dones: ByAgent) -> Dict[Any, bool]:
        if ALL not in dones:
            raise self._wrong("step", f"dones without {ALL}, which says whether the episode is over: {shown(dones)}")
        return {agent: done if type(done) is bool else self._done(agent, done) for agent, done in dones.items()}

    def _done(self, agent: Any, done: Any) -> bool:
        checks = self.common if agent == ALL else self.checks_of(agent)
        checks = checks or next(iter(self.known.values()))
        return checks.done("step", done)

    def _check_last(self, observations: ByAgent, dones: Mapping[Any, bool]) -> None:
        """Refuse an end at which an agent lacks its last observation, without which RLlib has no end of its own."""
        self._playing.update(observations)
        ended = self._playing if dones[ALL] else {agent for agent, done in dones.items() if done} & self._playing
        lacking = sorted(str(agent) for agent in ended if agent not in observations)
        if lacking:
            last = "an agent whose episode ends has to be given its last observation and reward"
            raise self._wrong("step", f"an end of the agent {lacking[0]} and no observation: {last}")
        self._playing = self._playing - ended


def _one_of(declared: Any) -> Any:
    """Return the space of all agents; None where they differ, or there is none."""
    if not isinstance(declared, dict):
        return declared
    spaces = list(declared.values())
    return spaces[0] if spaces and all(describe(each) == describe(spaces[0]) for each in spaces) else None
