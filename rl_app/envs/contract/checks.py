"""What is looked at in all that an environment gives, whether it steps one or many: in words, with file and line."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Dict, Mapping

import gym

from rl_app import plain
from rl_app.envs.contract.actions import acts, copied
from rl_app.envs.contract.blame import blamed, defined, gave, giver
from rl_app.envs.contract.newer_spaces import from_gymnasium
from rl_app.envs.contract.notices import say_once
from rl_app.envs.contract.observations import MisfitError, NotFiniteError, Reader, shown, whole_number
from rl_app.envs.contract.rllib_spaces import seen_actions, seen_observations
from rl_app.errors import UserError
from rl_app.spaces.description import Space, describe

if TYPE_CHECKING:
    from rl_app.envs.contract.checked import Manner

OBSERVATION = "observation"


class Checks:
    """The checks of one environment, by the spaces that it declares.

    Attributes:
        declared: its observation and action space, as :func:`rl_app.spaces.description.describe` has them.
        observation_space, action_space: those that it is shown with.
        act: makes an action of the space shown one of the space declared.
        own: what has its spaces, as Gym's.
    """

    def __init__(self, env: Any, name: str, manner: Manner) -> None:
        self.own, self._name, self._strict = env, name, manner.strict
        self.plain_infos = manner.plain_infos
        self.declared = (self._described("observation_space"), self._described("action_space"))
        observations, actions = self.declared
        self.reader = Reader(observations, manner.as_rllib)
        self._found = self.reader.found
        self.act = acts(actions) if manner.as_rllib else copied
        self.observation_space, self.action_space = env.observation_space, env.action_space
        if manner.as_rllib:
            self.observation_space, self.action_space = seen_observations(observations), seen_actions(actions)

    def _described(self, which: str) -> Space:
        try:
            space = getattr(self.own, which, None)
        except Exception as error:
            raise blamed(error, self._name, f"its {which}") from error
        kind = defined(type(getattr(self.own, "unwrapped", self.own)))
        if not isinstance(space, gym.Space) and not from_gymnasium(space):
            raise UserError(f"env = {self._name}: its {which} is no gym.Space{kind}")
        try:
            return describe(space)
        except Exception as error:  # a space of the user's own
            known = "expected one of Box, Discrete, MultiDiscrete, MultiBinary, Tuple, Dict"
            raise UserError(f"env = {self._name}: its {which} {space}: {error}; {known}{kind}") from None

    def reward(self, where: str, given: Any) -> float:
        """Give the number that a reward is; ``where`` is the method that gave it."""
        try:
            reward = float(given)
            if math.isfinite(reward) and not isinstance(given, (str, bytes)):
                return reward
        except (TypeError, ValueError, OverflowError):
            pass
        raise self.wrong(where, f"the reward {shown(given)}: expected a finite number", "reward")

    def done(self, where: str, given: Any) -> bool:
        """Give the truth value that was given for ``done``."""
        try:
            return bool(whole_number(given))
        except MisfitError:
            raise self.wrong(where, f"{shown(given)} for done: expected True or False") from None

    def info(self, where: str, given: Any) -> Dict[str, Any]:
        """Give the info as a dict of its own."""
        if given is None:
            return {}
        if not isinstance(given, Mapping):
            raise self.wrong(where, f"the info {shown(given)}: expected a dict")
        info: Dict[str, Any] = plain.data(given) if self.plain_infos else dict(given)
        return info

    def observed(self, where: str, observation: Any) -> Any:
        """Give a copy of the observation, as its space has it."""
        try:
            read = self.reader.read(observation)
        except NotFiniteError as error:
            raise self.wrong(where, f"an observation with {error}", OBSERVATION) from None
        except MisfitError as error:
            raise self._misfit(where, error) from None
        if self._found.strays or self._found.casts:
            self._tell(where)
        return read

    def _misfit(self, where: str, error: MisfitError) -> UserError:
        outside = f"an observation outside its space {self.own.observation_space}: {error}"
        return self.wrong(where, outside, OBSERVATION)

    def _tell(self, where: str) -> None:
        """Say what was met, once; strict, a stray is an error."""
        (strays, casts), place = self._found, defined(giver(self.own, where, OBSERVATION))
        line = f"env = {self._name}: {where} gave"
        for cast in casts:
            say_once(f"{line} {cast}", f"{line} {cast}{place}")
        if strays:
            outside = f"an observation outside its space {self.own.observation_space}"
            reason = f"{outside}: {strays[0]}"
            casts.clear()
            strays.clear()
            if self._strict:
                raise self.wrong(where, reason, OBSERVATION)
            taken = "; it is trained on as it is, and strict_spaces=true makes it an error"
            say_once(f"{line} {outside}", f"{line} {reason}{place}{taken}")
        casts.clear()

    def wrong(self, where: str, what: str, part: str = "") -> UserError:
        """Make the error that says what a method gave, and where that is defined which gave the part in question."""
        return gave(self._name, self.own, where, what, part)
