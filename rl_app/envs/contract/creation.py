"""Environments by name, seeded one by one, each checked as :mod:`rl_app.envs.contract.checked` has it."""

from __future__ import annotations

import difflib
import importlib.util
from functools import partial
from typing import Any, Callable, Iterable, Mapping, Optional

import gym

from rl_app.envs import ENVS
from rl_app.envs.contract import vector
from rl_app.envs.contract.agents import has_agents
from rl_app.envs.contract.blame import blamed, defined
from rl_app.envs.contract.checked import USUAL, CheckedEnv, Manner
from rl_app.envs.contract.newer import adapted
from rl_app.envs.contract.watchdog import WATCHDOG, watched
from rl_app.errors import UserError

Creator = Callable[[Mapping[str, Any]], gym.Env]


def creator(
    name: str,
    seed: Optional[int] = None,
    envs: Mapping[str, Callable[..., gym.Env]] = ENVS,
    manner: Manner = USUAL,
    num_envs: Optional[int] = None,
) -> Creator:
    """Return a function that makes the environment ``name`` from RLlib's ``env_config``.

    RLlib 0.8.5 seeds only the first environment of each worker and passes no ``env_config`` to Gym's; here each
    environment has a seed of its own, made of ``seed``, the worker's index and the index in its vector, and
    ``env_config`` becomes keyword arguments.
    With ``num_envs`` it makes an RLlib VectorEnv of so many; an environment that is one in any case is made as such if
    that is 0, and else as Gym has it.

    Raises:
        UserError: no such environment, with the nearest known names; or the module of ``module:name`` fails.
    """
    constructor = envs.get(name) or _registered(name, envs)
    return lambda env_config: _create(name, seed, constructor, manner, num_envs, env_config)


def _registered(name: str, envs: Iterable[str]) -> Callable[..., gym.Env]:
    """Give the constructor of an environment that is registered with Gym, as ``name`` or by a module, ``module:name``.

    It holds what was registered: of Ray's workers, and of what makes videos, none imports the module that did that.
    """
    try:
        spec = gym.spec(name)
    except gym.error.Error:
        known = {*envs, *(each.id for each in gym.envs.registry.all())}
        near = difflib.get_close_matches(name, known, n=3)
        hint = f"; did you mean {', '.join(near)}?" if near else ""
        unread = "; the package envs/ is not looked into, but a file envs.py is" if _is_package("envs") else ""
        raise UserError(f"env = {name}: no environment of this job or of gym {gym.__version__}{hint}{unread}") from None
    except Exception as error:
        raise blamed(error, name, "importing its module") from error
    return lambda env_config: spec.make(**env_config)


def _is_package(name: str) -> bool:
    """Return whether a module would be imported as a package; it is not."""
    spec = importlib.util.find_spec(name)
    return spec is not None and (spec.origin or "").endswith("__init__.py")


def _create(
    name: str,
    seed: Optional[int],
    constructor: Callable[..., gym.Env],
    manner: Manner,
    num_envs: Optional[int],
    env_config: Mapping[str, Any],
) -> gym.Env:
    env = adapted(_constructed(name, constructor, manner, num_envs, env_config), name)
    first = None if seed is None else seed + 1000 * getattr(env_config, "worker_index", 0)
    if vector.is_vector(env):
        if not isinstance(getattr(env, "num_envs", None), int):
            raise UserError(f"env = {name}: it has no num_envs, how many it steps at once{defined(type(env))}")
        if num_envs is not None:
            from rl_app.envs.contract.checked_vector import CheckedVector  # which imports Ray

            return CheckedVector(env, name, manner, first)
        env = vector.One(env)
    if has_agents(env):
        from rl_app.envs.contract.checked_agents import CheckedAgents  # which imports Ray

        return _seeded(CheckedAgents(env, name, manner), first, env_config)
    if not isinstance(env, gym.Env):
        made = f"its constructor made a {type(env).__name__}"
        raise UserError(f"env = {name}: {made}, which is no gym.Env{defined(constructor)}")
    return _seeded(CheckedEnv(env, name, manner), first, env_config)


def _seeded(env: Any, seed: Optional[int], env_config: Mapping[str, Any]) -> Any:
    if seed is not None:
        env.seed(seed + getattr(env_config, "vector_index", 0))
    return env


def _constructed(
    name: str,
    constructor: Callable[..., gym.Env],
    manner: Manner,
    num_envs: Optional[int],
    env_config: Mapping[str, Any],
) -> Any:
    WATCHDOG.start()
    construct = partial(vector.construct, constructor, env_config, num_envs or None, manner.drawn)
    construct.__wrapped__ = constructor  # type: ignore[attr-defined]  # for whom is to blame
    return watched(name, manner.deadline_s, "its constructor", construct)
