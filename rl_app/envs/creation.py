"""Environments by name, seeded one by one, with what goes wrong in them named as theirs."""

from __future__ import annotations

import difflib
import inspect
import math
import os
import signal
import sys
import threading
import traceback
from types import FrameType
from typing import Any, Callable, Dict, Mapping, Optional, Tuple

import gym

from rl_app import sagemaker
from rl_app.envs import ENVS
from rl_app.errors import UserError, blame, place_of, shown
from rl_app.hyperparameters import Settings
from rl_app.spaces import disordered

Creator = Callable[[Mapping[str, Any]], gym.Env]

TRIAL_STEPS = 20


def creator(
    name: str,
    seed: Optional[int] = None,
    envs: Mapping[str, Callable[..., gym.Env]] = ENVS,
    deadline_s: float = Settings.env_deadline,
) -> Creator:
    """A function that makes the environment ``name`` from RLlib's ``env_config``.

    RLlib 0.8.5 seeds only the first environment of each worker and passes no ``env_config`` to Gym's; here each
    environment has a seed of its own, made of ``seed``, the worker's index and the index in its vector, and
    ``env_config`` becomes keyword arguments. A call of it that takes longer than ``deadline_s`` is taken to hang.

    Raises:
        UserError: no such environment, with the nearest known names.
    """
    if name not in envs and name not in _gym_ids():
        near = difflib.get_close_matches(name, [*envs, *_gym_ids()], n=3)
        hint = f"; did you mean {', '.join(near)}?" if near else ""
        raise UserError(f"env = {name}: no environment of this job or of gym {gym.__version__}{hint}")

    constructor = envs.get(name)
    return lambda env_config: _create(name, seed, constructor, deadline_s, env_config)


def _create(
    name: str,
    seed: Optional[int],
    constructor: Optional[Callable[..., gym.Env]],
    deadline_s: float,
    env_config: Mapping[str, Any],
) -> gym.Env:
    WATCHDOG.start()
    call = WATCHDOG.begin(name, "its constructor", deadline_s)
    try:
        env = constructor(dict(env_config)) if constructor else gym.make(name, **env_config)
    except Exception as error:
        raise blamed(error, name, "its constructor") from error
    finally:
        WATCHDOG.end(call)
    if not isinstance(env, gym.Env):
        made = f"its constructor made a {type(env).__name__}"
        raise UserError(f"env = {name}: {made}, which is no gym.Env{defined(constructor)}")
    watched = Blamed(env, name, deadline_s)
    if seed is not None:
        worker = getattr(env_config, "worker_index", 0)
        index = getattr(env_config, "vector_index", 0)
        watched.seed(seed + 1000 * worker + index)
    return watched


def _gym_ids() -> Any:
    return [spec.id for spec in gym.envs.registry.all()]


def try_out(create: Creator, name: str, env_config: Mapping[str, Any], seed: Optional[int]) -> None:
    """Takes a few random steps, so that what is wrong with an environment is said before Ray starts.

    Raises:
        UserError: it has no spaces, an observation lies outside its space, or a call of it fails or hangs.
    """
    env = create(env_config)
    kind = type(env.unwrapped)
    try:
        for space in ("observation_space", "action_space"):
            if not isinstance(getattr(env, space, None), gym.Space):
                raise UserError(f"env = {name}: its {space} is no gym.Space{defined(kind)}")
        env.action_space.seed(seed)
        _check_observation(name, "reset", env, env.reset())
        for _ in range(TRIAL_STEPS):
            observation, _, done, _ = env.step(env.action_space.sample())
            _check_observation(name, "step", env, observation)
            if done:
                _check_observation(name, "reset", env, env.reset())
    finally:
        env.close()


def _check_observation(name: str, where: str, env: gym.Env, observation: Any) -> None:
    if not env.observation_space.contains(observation):
        shown = " ".join(repr(observation).split())[:200]
        kind = f" ({observation.dtype} {list(observation.shape)})" if hasattr(observation, "dtype") else ""
        raise UserError(
            f"env = {name}: {where} gave an observation outside its space {env.observation_space}: {shown}{kind}"
            f"{defined(getattr(env.unwrapped, where, None))}"
        )
    mixed_up = disordered(env.observation_space, observation)
    if mixed_up:
        raise UserError(f"env = {name}: {where} gave an observation in another order than its space's: {mixed_up}")


def defined(what: Any) -> str:
    """`` (file:line)`` of a function or a class; nothing where Python does not know."""
    try:
        return f" ({shown(str(inspect.getsourcefile(what)))}:{inspect.getsourcelines(what)[1]})"
    except (OSError, TypeError):
        return ""


def blamed(error: Exception, name: str, where: str) -> UserError:
    """The error as one that names the environment, the file and the line."""
    if isinstance(error, UserError):
        return error
    said = " ".join(str(error).split())
    return UserError(f"env = {name}: {where} raised {type(error).__name__}: {said} ({blame(error)})")


class Blamed(gym.Wrapper):  # type: ignore[misc]  # gym has no types
    """Passes everything on; what goes wrong in the environment becomes one line that says so."""

    def __init__(self, env: gym.Env, name: str, deadline_s: float = Settings.env_deadline) -> None:
        super().__init__(env)
        self._name = name
        self._deadline_s = deadline_s

    def seed(self, seed: Optional[int] = None) -> Any:
        return self._watched("seed", self.env.seed, seed)

    def reset(self, **kwargs: Any) -> Any:
        return self._watched("reset", self.env.reset, **kwargs)

    def _watched(self, where: str, method: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        call = WATCHDOG.begin(self._name, where, self._deadline_s)
        try:
            return method(*args, **kwargs)
        except Exception as error:
            raise blamed(error, self._name, where) from error
        finally:
            WATCHDOG.end(call)

    def step(self, action: Any) -> Tuple[Any, float, bool, Mapping[str, Any]]:
        # As _watched, written out: a microsecond more is a hundredth of what a step of a small environment takes.
        thread = threading.get_ident()
        WATCHDOG.calls[thread] = (thread, self._name, "step", self._deadline_s)
        try:
            result = self.env.step(action)
        except Exception as error:
            raise blamed(error, self._name, "step") from error
        finally:
            del WATCHDOG.calls[thread]
        if not isinstance(result, tuple) or len(result) != 4:
            raise self._wrong(f"{str(result)[:200]}: expected (observation, reward, done, info)")
        try:
            if math.isfinite(result[1]):
                return result
        except TypeError:
            pass
        raise self._wrong(f"the reward {result[1]}: expected a finite number")

    def _wrong(self, what: str) -> UserError:
        return UserError(f"env = {self._name}: step gave {what}{defined(self.env.unwrapped.step)}")


Call = Tuple[int, str, str, float]
"""The thread that makes it, the environment, the method, and the seconds after which it hangs."""


class Watchdog:
    """Ends a call of an environment that hangs, with a line that says where.

    In the main thread by a signal, whose handler raises in the midst of the call. A call in another thread, or in
    a library that does not look at signals, cannot be ended but with the process: ``last_words`` is told first.
    """

    TICK_S = 1.0
    # What the main thread has for its handler to run.
    PATIENCE_S = 5.0

    def __init__(self) -> None:
        self.last_words: Callable[[str], None] = write_last_words
        # Of each thread the call under way
        self.calls: Dict[int, Call] = {}
        self._thread: Optional[threading.Thread] = None

    def start(self) -> None:
        """To be called before the first call, by the thread that is to make them."""
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGUSR1, self._interrupt)
        if self._thread is None:
            self._thread = threading.Thread(target=self._watch, name="environment watchdog", daemon=True)
            self._thread.start()

    def begin(self, name: str, where: str, deadline_s: float) -> Call:
        """Watches a call of this thread, up to :meth:`end`."""
        thread = threading.get_ident()
        call = self.calls[thread] = (thread, name, where, deadline_s)
        return call

    def end(self, call: Call) -> None:
        del self.calls[call[0]]

    def _watch(self) -> None:
        # Counted in ticks: a process that was paused finds its clock ahead, and its calls have not hung.
        ticks: Dict[int, Tuple[Call, int]] = {}
        never = threading.Event()
        while not never.wait(self.TICK_S):
            ticks = {
                thread: (call, ticks[thread][1] + 1 if ticks.get(thread, (None,))[0] is call else 0)
                for thread, call in list(self.calls.items())
            }
            for call, count in ticks.values():
                self._judge(call, count * self.TICK_S)

    def _judge(self, call: Call, lasted_s: float) -> None:
        thread, _, _, deadline_s = call
        main = thread == threading.main_thread().ident
        if lasted_s >= deadline_s + (self.PATIENCE_S if main else 0):
            self.last_words(hung(call, sys._current_frames().get(thread)))
            os._exit(UserError.errno)
        if main and lasted_s >= deadline_s:
            signal.pthread_kill(thread, signal.SIGUSR1)

    def _interrupt(self, _: int, frame: Optional[FrameType]) -> None:
        call = self.calls.get(threading.get_ident())
        if call:
            raise UserError(hung(call, frame))


def hung(call: Call, frame: Optional[FrameType]) -> str:
    """The line that says so; ``frame`` is where the call is."""
    _, name, where, deadline_s = call
    place = f" ({place_of(traceback.extract_stack(frame))})" if frame else ""
    return f"env = {name}: {where} did not return in {deadline_s:.0f} s, which env_deadline sets{place}"


def write_last_words(line: str) -> None:
    """What a process leaves that has nobody to tell: such as one of Ray's workers."""
    print(line, file=sys.stderr, flush=True)
    sagemaker.write_failure(sagemaker.paths(), line)


WATCHDOG = Watchdog()
