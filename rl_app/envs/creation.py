"""Environments by name, seeded one by one, with what goes wrong in them named as theirs."""

from __future__ import annotations

import difflib
import math
import signal
import threading
import time
import traceback
from contextlib import contextmanager
from types import FrameType
from typing import Any, Callable, Iterator, Mapping, Optional, Tuple

import gym

from rl_app.envs import ENVS
from rl_app.errors import UserError
from rl_app.spaces import disordered

Creator = Callable[[Mapping[str, Any]], gym.Env]

HANG_S = 60.0
"""After this long a call of an environment is taken to hang."""
TRIAL_STEPS = 20


def creator(name: str, seed: Optional[int] = None, envs: Mapping[str, Callable[..., gym.Env]] = ENVS) -> Creator:
    """A function that makes the environment ``name`` from RLlib's ``env_config``.

    RLlib 0.8.5 seeds only the first environment of each worker and passes no ``env_config`` to Gym's; here each
    environment has a seed of its own, made of ``seed``, the worker's index and the index in its vector, and
    ``env_config`` becomes keyword arguments.

    Raises:
        UserError: no such environment, with the nearest known names.
    """
    if name not in envs and name not in _gym_ids():
        near = difflib.get_close_matches(name, [*envs, *_gym_ids()], n=3)
        hint = f"; did you mean {', '.join(near)}?" if near else ""
        raise UserError(f"env = {name}: no environment of this job or of gym {gym.__version__}{hint}")

    def create(env_config: Mapping[str, Any]) -> gym.Env:
        with blamed_on(name, "its constructor"):
            env = envs[name](dict(env_config)) if name in envs else gym.make(name, **env_config)
        if not isinstance(env, gym.Env):
            raise UserError(f"env = {name}: its constructor made a {type(env).__name__}, which is no gym.Env")
        if seed is not None:
            worker = getattr(env_config, "worker_index", 0)
            index = getattr(env_config, "vector_index", 0)
            env.seed(seed + 1000 * worker + index)
        return Blamed(env, name)

    return create


def _gym_ids() -> Any:
    return [spec.id for spec in gym.envs.registry.all()]


def try_out(create: Creator, name: str, env_config: Mapping[str, Any], seed: Optional[int]) -> None:
    """Takes a few random steps, so that what is wrong with an environment is said before Ray starts.

    Raises:
        UserError: it has no spaces, an observation lies outside its space, or a call of it fails or hangs.
    """
    env = create(env_config)
    try:
        for space in ("observation_space", "action_space"):
            if not isinstance(getattr(env, space, None), gym.Space):
                raise UserError(f"env = {name}: its {space} is no gym.Space")
        env.action_space.seed(seed)
        _check_observation(name, "reset", env.observation_space, env.reset())
        for _ in range(TRIAL_STEPS):
            observation, _, done, _ = env.step(env.action_space.sample())
            _check_observation(name, "step", env.observation_space, observation)
            if done:
                _check_observation(name, "reset", env.observation_space, env.reset())
    finally:
        env.close()


def _check_observation(name: str, where: str, space: gym.Space, observation: Any) -> None:
    if not space.contains(observation):
        shown = " ".join(repr(observation).split())[:200]
        raise UserError(f"env = {name}: {where} gave an observation outside its space {space}: {shown}")
    mixed_up = disordered(space, observation)
    if mixed_up:
        raise UserError(f"env = {name}: {where} gave an observation in another order than its space's: {mixed_up}")


class Blamed(gym.Wrapper):  # type: ignore[misc]  # gym has no types
    """Passes everything on; what goes wrong in the environment becomes one line that says so."""

    def __init__(self, env: gym.Env, name: str) -> None:
        super().__init__(env)
        self._name = name

    def reset(self, **kwargs: Any) -> Any:
        with blamed_on(self._name, "reset"), WATCHDOG.watching(self._name, "reset"):
            return self.env.reset(**kwargs)

    def step(self, action: Any) -> Tuple[Any, float, bool, Mapping[str, Any]]:
        with blamed_on(self._name, "step"), WATCHDOG.watching(self._name, "step"):
            result = self.env.step(action)
        if not isinstance(result, tuple) or len(result) != 4:
            raise UserError(
                f"env = {self._name}: step gave {str(result)[:200]}: expected (observation, reward, done, info)"
            )
        if not math.isfinite(result[1]):
            raise UserError(f"env = {self._name}: step gave the reward {result[1]}: expected a finite number")
        return result


@contextmanager
def blamed_on(name: str, where: str) -> Iterator[None]:
    """Turns an exception of the block into a UserError that names the environment, the file and the line."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        raise UserError(
            f"env = {name}: {where} raised {type(error).__name__}: {' '.join(str(error).split())} "
            f"({frame.filename}:{frame.lineno})"
        ) from error


class Watchdog:
    """Interrupts a call of an environment that hangs, by a signal to the main thread, where such calls are made."""

    def __init__(self) -> None:
        self._call: Optional[Tuple[float, str, str]] = None
        self._thread: Optional[threading.Thread] = None

    @contextmanager
    def watching(self, name: str, where: str) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        if self._thread is None:
            signal.signal(signal.SIGUSR1, self._interrupt)
            self._thread = threading.Thread(target=self._watch, name="environment watchdog", daemon=True)
            self._thread.start()
        self._call = (time.monotonic(), name, where)
        try:
            yield
        finally:
            self._call = None

    def _watch(self) -> None:
        never = threading.Event()
        while not never.wait(HANG_S / 10):
            call = self._call
            if call and time.monotonic() - call[0] > HANG_S:
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)

    def _interrupt(self, number: int, frame: Optional[FrameType]) -> None:
        if self._call:
            name, where = self._call[1:]
            place = f" ({frame.f_code.co_filename}:{frame.f_lineno})" if frame else ""
            raise UserError(f"env = {name}: {where} did not return in {HANG_S:.0f} s{place}")


WATCHDOG = Watchdog()
