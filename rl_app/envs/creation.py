"""Environments by name, seeded one by one, with what goes wrong in them named as theirs."""

from __future__ import annotations

import difflib
import traceback
from contextlib import contextmanager
from typing import Any, Callable, Iterator, Mapping, Optional

import gym

from rl_app.envs import ENVS
from rl_app.errors import UserError

Creator = Callable[[Mapping[str, Any]], gym.Env]


def creator(name: str, seed: Optional[int] = None) -> Creator:
    """A function that makes the environment ``name`` from RLlib's ``env_config``.

    RLlib 0.8.5 seeds only the first environment of each worker and passes no ``env_config`` to Gym's; here each
    environment has a seed of its own, made of ``seed``, the worker's index and the index in its vector, and
    ``env_config`` becomes keyword arguments.

    Raises:
        UserError: no such environment, with the nearest known names.
    """
    if name not in ENVS and name not in _gym_ids():
        near = difflib.get_close_matches(name, [*ENVS, *_gym_ids()], n=3)
        hint = f"; did you mean {', '.join(near)}?" if near else ""
        raise UserError(f"env = {name}: no environment of this image or of gym {gym.__version__}{hint}")

    def create(env_config: Mapping[str, Any]) -> gym.Env:
        with blamed_on(name, "its constructor"):
            env = ENVS[name](dict(env_config)) if name in ENVS else gym.make(name, **env_config)
        if seed is not None:
            worker = getattr(env_config, "worker_index", 0)
            index = getattr(env_config, "vector_index", 0)
            env.seed(seed + 1000 * worker + index)
        return Blamed(env, name)

    return create


def _gym_ids() -> Any:
    return [spec.id for spec in gym.envs.registry.all()]


class Blamed(gym.Wrapper):  # type: ignore[misc]  # gym has no types
    """Passes everything on; an exception of the environment becomes one line that says so."""

    def __init__(self, env: gym.Env, name: str) -> None:
        super().__init__(env)
        self._name = name

    def reset(self, **kwargs: Any) -> Any:
        with blamed_on(self._name, "reset"):
            return self.env.reset(**kwargs)

    def step(self, action: Any) -> Any:
        with blamed_on(self._name, "step"):
            return self.env.step(action)


@contextmanager
def blamed_on(name: str, where: str) -> Iterator[None]:
    """Turns an exception of the block into a UserError that names the environment, the file and the line."""
    try:
        yield
    except Exception as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        raise UserError(
            f"env = {name}: {where} raised {type(error).__name__}: {error} ({frame.filename}:{frame.lineno})"
        ) from error
