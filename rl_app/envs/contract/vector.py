"""Environments that step many at once: RLlib's VectorEnv, and how one of them is played alone.

A constructor in ``ENVS`` with a parameter ``num_envs`` makes one that steps so many; without that argument, or with
1 where it has no default, it makes what evaluations and videos play. One that makes a VectorEnv in any case says by
its ``num_envs`` how many it steps. Nothing here needs Ray, which a user's VectorEnv has imported itself.
"""

from __future__ import annotations

import inspect
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple

import gym

from rl_app.envs.contract.newer import PICTURE, parameters_of
from rl_app.errors import UserError
from rl_app.job.settings import PREFIX

PARAMETER = "num_envs"
RENDER_MODE = "render_mode"
# What RLlib does with Gym's environments alone
ONE_BY_ONE = ("normalize_actions", "monitor", "remote_worker_envs")

Constructor = Callable[..., Any]


class EnvConfig(Dict[str, Any]):
    """What a constructor is given: ``env_config``, a copy of its own, and what RLlib says of the environment's place.

    Attributes:
        worker_index: of which worker it is; 0 in the trainer itself, before training, and in evaluations and videos.
        vector_index: which of the worker's environments it is.
        remote: whether it runs in a process of its own.
    """

    worker_index = 0
    vector_index = 0
    remote = False

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> EnvConfig:
        """Give an environment its own, out of which its constructor may take things."""
        own = cls(_copied(dict(given)))
        for name in ("worker_index", "vector_index", "remote"):
            setattr(own, name, getattr(given, name, getattr(cls, name)))
        return own


def _copied(value: Any) -> Any:
    """Copy dicts and lists, all the way down, and nothing else: a table of data is as large as it is."""
    if type(value) is dict:
        return {key: _copied(item) for key, item in value.items()}
    return [_copied(item) for item in value] if type(value) is list else value


def envs_at_once(constructor: Optional[Constructor], config: Mapping[str, Any]) -> Optional[int]:
    """Return how many the constructor is asked for in training; None where it knows nothing of that."""
    wanted = int(config.get("num_envs_per_worker", 1))
    takes = constructor is not None and _takes_number(constructor)
    return wanted if takes and wanted > 1 and not any(config.get(key) for key in ONE_BY_ONE) else None


def construct(
    constructor: Constructor, env_config: Mapping[str, Any], num_envs: Optional[int], drawn: bool = False
) -> Any:
    """Return what the constructor makes: ``num_envs`` at once, or one; ``drawn``, to be drawn as a picture."""
    given: Dict[str, Any] = {}
    if num_envs is not None or _must_have_number(constructor):
        given[PARAMETER] = num_envs or 1
    if drawn and RENDER_MODE in parameters_of(constructor) and RENDER_MODE not in env_config:
        given[RENDER_MODE] = PICTURE
    return constructor(EnvConfig.of(env_config), **given)


def is_vector(env: Any) -> bool:
    """Return whether an environment steps many at once."""
    return not isinstance(env, gym.Env) and hasattr(env, "vector_step")


def inner_envs(many: Any) -> List[Any]:
    """Give the environments inside, where it has some and tells."""
    try:
        return list(many.get_unwrapped() or [])
    except (AttributeError, NotImplementedError):
        return []


class One(gym.Env):  # type: ignore[misc]  # gym has no types
    """The first of the environments of a VectorEnv, as Gym has it; what the others do is of no interest."""

    def __init__(self, many: Any) -> None:
        self.many = many
        self.observation_space = getattr(many, "observation_space", None)
        self.action_space = getattr(many, "action_space", None)
        self._begun = False
        self._drawn = inner_envs(many)
        if self._drawn:
            self.metadata = self._drawn[0].metadata

    @property
    def unwrapped(self) -> Any:
        """What a person has written."""
        return self.many

    def seed(self, seed: Optional[int] = None) -> Any:
        return self.many.seed(seed) if hasattr(self.many, "seed") else None

    def reset(self, **_: Any) -> Any:
        if self._begun:
            return self.many.reset_at(0)
        self._begun = True
        return self.many.vector_reset()[0]

    def step(self, action: Any) -> Tuple[Any, Any, Any, Any]:
        observations, rewards, dones, infos = self.many.vector_step([action] * self.many.num_envs)
        first = observations[0], rewards[0], dones[0], infos[0]
        for index in range(1, self.many.num_envs):
            if dones[index]:
                self.many.reset_at(index)
        return first

    def close(self) -> None:
        if hasattr(self.many, "close"):
            self.many.close()

    def render(self, mode: str = "human") -> Any:
        return self._drawn[0].render(mode=mode) if self._drawn else super().render(mode=mode)


def check(env: gym.Env, name: str, config: Mapping[str, Any]) -> None:
    """Refuse settings that a VectorEnv cannot be trained with; ``env`` is what evaluations play.

    Raises:
        UserError: RLlib is to step another number, or to wrap each of them.
    """
    one = _one_in(env)
    if one is None:
        return
    wanted, at_once = config.get("num_envs_per_worker", 1), one.many.num_envs
    if wanted != at_once:
        raise UserError(
            f"{PREFIX}config.num_envs_per_worker = {wanted}: env = {name} steps {at_once} at once; set {at_once}"
        )
    for key in ONE_BY_ONE:
        if config.get(key):
            raise UserError(f"{PREFIX}config.{key} = true: not with env = {name}, which steps {at_once} at once")


def steps_many(env: gym.Env, constructor: Optional[Constructor], config: Mapping[str, Any]) -> bool:
    """Return whether training is to step many at once; ``env`` is what evaluations play."""
    return _one_in(env) is not None or envs_at_once(constructor, config) is not None


def _one_in(env: Any) -> Optional[One]:
    """Return the :class:`One` in an environment's wrappers, if it is there."""
    while isinstance(env, gym.Wrapper):
        env = env.env
    return env if isinstance(env, One) else None


def _takes_number(constructor: Constructor) -> bool:
    return PARAMETER in parameters_of(constructor)


def _must_have_number(constructor: Constructor) -> bool:
    parameter = parameters_of(constructor).get(PARAMETER)
    return parameter is not None and parameter.default is inspect.Parameter.empty
