"""An environment whose every word is checked, and shown to RLlib in a form that RLlib takes right.

The one place where a user's environment and RLlib 0.8.5 meet: what one gives wrong, or the other takes wrong, is made
right here, or ends the job with a line that names the file.
"""

from __future__ import annotations

import math
import threading
from functools import partial
from typing import Any, Callable, Mapping, NamedTuple, Optional, Tuple

import gym

from rl_app.envs.contract import newer
from rl_app.envs.contract.blame import blamed, giver
from rl_app.envs.contract.checks import Checks
from rl_app.envs.contract.observations import shown
from rl_app.envs.contract.watchdog import WATCHDOG, closed, watched
from rl_app.job.settings import Settings

FOUR = "(observation, reward, done, info)"
WITH_FIVE = f", as its reset does not give {newer.PAIR}"


SpacesOf = Callable[[Any], Optional[Tuple[Any, Any]]]


def no_spaces(_: Any) -> None:
    """Give an agent no spaces but the environment's."""


class Manner(NamedTuple):
    """How an environment is watched and shown.

    Attributes:
        deadline_s: after how long a call of it is taken to hang.
        strict: what lies outside its space ends the job; else it is said once, and trained on.
        as_rllib: its spaces, observations and actions are those that RLlib takes; else those that it declared.
        drawn: it is to be drawn as a picture, which a newer environment is told where it is made.
        plain_infos: numbers of numpy in ``info`` become Python's, which RLlib's writer of samples can write.
        spaces: gives the spaces that an agent's policy has, where the environment declares none for it.
    """

    deadline_s: float = Settings.env_deadline
    strict: bool = Settings.strict_spaces
    as_rllib: bool = True
    plain_infos: bool = False
    drawn: bool = False
    spaces: SpacesOf = no_spaces


USUAL = Manner()


class CheckedEnv(gym.Wrapper):  # type: ignore[misc]  # gym has no types
    """Passes everything on; what goes wrong in the environment becomes one line that says so.

    Attributes:
        declared: the environment's own observation and action space, as :func:`rl_app.spaces.description.describe`
            has them.
    """

    env: Any

    def __init__(self, env: gym.Env, name: str, manner: Manner = USUAL) -> None:
        super().__init__(env)
        self._name, self._deadline_s = name, manner.deadline_s
        self._watched = partial(watched, name, manner.deadline_s)
        self._checks = Checks(env, name, manner)
        self.declared, self._act = self._checks.declared, self._checks.act
        self._plain_infos, self._adapted = manner.plain_infos, False
        if manner.as_rllib:
            self.observation_space, self.action_space = self._checks.observation_space, self._checks.action_space

    def seed(self, seed: Any = None) -> Any:
        return self._watched("seed", self.env.seed, seed)

    def close(self) -> None:
        closed(self._name, self._deadline_s, self.env.close)

    def reset(self, **kwargs: Any) -> Any:
        observation = self._watched("reset", self.env.reset, **kwargs)
        if type(observation) is tuple and newer.is_pair(observation, self.env.observation_space):
            self.env = newer.adapted(self.env, self._name, seen=True)
            observation = observation[0]
        self._adapted = newer.is_adapted(self.env)
        return self._checks.observed("reset", observation)

    def step(self, action: Any) -> Tuple[Any, float, bool, Mapping[str, Any]]:
        action = self._act(action)
        # As watched(), written out: a microsecond more is a hundredth of what a step of a small environment takes.
        thread = threading.get_ident()
        WATCHDOG.calls[thread] = (thread, self._name, "step", self._deadline_s)
        try:
            result = self.env.step(action)
        except Exception as error:
            raise blamed(error, self._name, "step", giver(self.env, "step")) from error
        finally:
            del WATCHDOG.calls[thread]
        if not isinstance(result, tuple) or len(result) != 4:
            five = isinstance(result, tuple) and len(result) == 5
            given = f"five values, {shown(result)}" if five else shown(result)
            raise self._checks.wrong("step", f"{given}: expected {FOUR}{WITH_FIVE if five else ''}")
        observation, reward, done, info = result
        if type(reward) is not float or not math.isfinite(reward):
            reward = self._checks.reward("step", reward)
        if type(done) is not bool:
            done = self._checks.done("step", done)
        if type(info) is not dict or self._plain_infos:
            info = self._checks.info("step", info)
        if done and self._adapted and info.get(newer.LIMIT):
            info = {**info, newer.TRUNCATED: True}
        return self._checks.observed("step", observation), reward, done, info
