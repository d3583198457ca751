"""Environments written for Gym 0.26 or Gymnasium, with the methods of Gym 0.22, which RLlib 0.8.5 calls.

They are known by their class, by the parameters of their ``reset``, or by what it gives; Gymnasium is imported nowhere,
for only a job's own requirements bring it.
"""

from __future__ import annotations

import inspect
from contextlib import suppress
from typing import Any, Callable, List, Mapping, Optional

import gym

from rl_app.envs.contract.agents import SPACES
from rl_app.envs.contract.blame import gave
from rl_app.envs.contract.newer_spaces import converted, from_gymnasium
from rl_app.envs.contract.observations import MisfitError, shown, whole_number
from rl_app.errors import UserError
from rl_app.spaces.description import kind_of

PAIR = "(observation, info)"
FIVE = "(observation, reward, terminated, truncated, info)"
LIMIT = "TimeLimit.truncated"
"""What Gym's own TimeLimit calls an episode's end that is none of the environment's."""
TRUNCATED = "rl_app.truncated"
"""The same in an adapted environment alone: in others RLlib has always taken such an end for a real one."""
PICTURE = "rgb_array"


class Newer(gym.Wrapper):  # type: ignore[misc]  # gym has no types
    """Calls an environment as Gym 0.26 and Gymnasium do, and answers as Gym 0.22 does.

    One whose ``reset`` gives the observation alone is passed on as it is: its parameters were those of a newer one.
    """

    def __init__(self, env: Any, name: str, pairs: bool = False) -> None:
        super().__init__(env)
        self._name, self._pairs = name, pairs
        self._seed: Optional[int] = None
        self._is_gymnasiums = from_gymnasium(env)
        self._takes_seed = _takes_seed(env)
        for which in SPACES:
            with suppress(Exception):  # one that cannot say its space is told of by the checks
                setattr(self, which, converted(getattr(env, which)))

    @property
    def adapts(self) -> bool:
        """Whether the last reset was that of a newer environment."""
        return self._pairs

    def seed(self, seed: Any = None) -> Any:
        """Seed it: by its next reset, where that takes a seed, and by its own ``seed``, which Gymnasium has not."""
        self._seed = None if seed is None or not self._takes_seed else int(seed)
        return None if self._is_gymnasiums else self.env.seed(seed)

    def reset(self, **kwargs: Any) -> Any:
        if self._seed is not None:
            kwargs["seed"], self._seed = self._seed, None
        given = self.env.reset(**kwargs)
        self._pairs = is_pair(given, self.observation_space)
        if self._is_gymnasiums and not self._pairs:
            raise self._wrong("reset", f"{shown(given)}: expected {PAIR}")
        return given[0] if self._pairs else given

    def step(self, action: Any) -> Any:
        result = self.env.step(action)
        if not self._pairs:
            return result
        if not isinstance(result, tuple) or len(result) != 5:
            raise self._wrong("step", f"{shown(result)}: expected {FIVE}, for its reset gives {PAIR}")
        observation, reward, terminated, truncated, info = result
        terminated, truncated = self._flag(terminated, "terminated"), self._flag(truncated, "truncated")
        if truncated and not terminated and (info is None or isinstance(info, Mapping)):
            info = {**(info or {}), LIMIT: True}
        return observation, reward, terminated or truncated, info

    def render(self, mode: str = "human", **_: Any) -> Any:
        """Draw it, as it was made to be drawn.

        Raises:
            NotImplementedError: it was made to be drawn in another mode, or not at all.
        """
        render = _render_of(self.env)
        if not self._pairs or _takes(render, "mode"):
            return render(mode=mode)
        made_for = getattr(self.env, "render_mode", None)
        if made_for != mode:
            raise NotImplementedError(
                f'its render_mode is {made_for}: a parameter render_mode of its constructor is given "{PICTURE}", '
                "and so may be one of config.env_config"
            )
        return render()

    def _flag(self, given: Any, which: str) -> bool:
        try:
            return given if type(given) is bool else bool(whole_number(given))
        except MisfitError:
            raise self._wrong("step", f"{shown(given)} for {which}: expected True or False") from None

    def _wrong(self, where: str, what: str) -> Exception:
        return gave(self._name, self.env, where, what)


def adapted(env: Any, name: str, seen: bool = False) -> Any:
    """Give the environment with the methods of Gym 0.22; as it is, where nothing says that it has others.

    Args:
        seen: its reset has shown that it has.

    Raises:
        UserError: it steps many at once, as only Gymnasium does.
    """
    # Wrappers of one environment may have num_envs too, and warn of what they are asked for and hand on
    if from_gymnasium(env) and hasattr(getattr(env, "unwrapped", env), "single_observation_space"):
        many = f"its {type(env).__name__} steps many at once, as only Gymnasium does"
        raise UserError(f"env = {name}: {many}: expected one, of which RLlib makes as many as asked for")
    stack = _stack(env)
    if not (seen or _looks_newer(stack[-1])) or adapter_of(env):
        return env
    # Gym 0.22's own wrappers unpack four values, and those written for a newer Gym five
    fours = [wrapper for wrapper in stack[:-1] if _unpacks_four(wrapper)]
    if not fours:
        return Newer(env, name, seen)
    fours[-1].env = Newer(fours[-1].env, name, seen)
    return env


def adapter_of(env: Any) -> Any:
    """Give the :class:`Newer` among an environment's wrappers; None where there is none."""
    return next((each for each in _stack(env) if isinstance(each, Newer)), None)


def is_adapted(env: Any) -> bool:
    """Tell whether an environment that has been reset is one that was adapted."""
    adapter = adapter_of(env)
    return adapter is not None and adapter.adapts


def is_truncated(info: Any) -> bool:
    """Tell whether an info is of a step at which an adapted environment cut its episode."""
    return isinstance(info, Mapping) and bool(info.get(TRUNCATED))


def is_pair(given: Any, space: Any) -> bool:
    """Tell whether a reset's value is an observation of the space and an info, and not an observation of two parts."""
    if not isinstance(given, tuple) or len(given) != 2 or not isinstance(given[1], dict):
        return False
    two_parts = kind_of(space) == "Tuple" and len(space.spaces) == 2 and kind_of(space.spaces[1]) == "Dict"
    return not two_parts or bool(space.contains(given[0]))


def _stack(env: Any) -> List[Any]:
    """Give the environment, and all those in its wrappers of Gym's, inwards."""
    stack = [env]
    while isinstance(stack[-1], gym.Wrapper):
        stack.append(stack[-1].env)
    return stack


def _looks_newer(env: Any) -> bool:
    own = isinstance(env, gym.Env) and type(env).reset is not gym.Env.reset
    newer = own and _takes(env.reset, "seed") and not _takes(env.reset, "return_info")
    return newer or (from_gymnasium(env) and hasattr(env, "step"))


def _unpacks_four(wrapper: gym.Wrapper) -> bool:
    step = type(wrapper).step
    passes_on = (gym.Wrapper.step, gym.ActionWrapper.step, Newer.step)
    return step.__module__.split(".")[0] == "gym" and step not in passes_on


def _render_of(env: Any) -> Callable[..., Any]:
    """Give the method that draws: Gym 0.22's wrappers would hand on a mode, which a newer one does not take."""
    while isinstance(env, gym.Wrapper) and type(env).render is gym.Wrapper.render:
        env = env.env
    render: Callable[..., Any] = env.render
    return render


def _takes_seed(env: Any) -> bool:
    """Tell whether ``reset`` takes a seed: a wrapper that hands on all that it is given asks the one inside."""
    if _takes(env.reset, "seed"):
        return True
    hands_on = any(each.kind is each.VAR_KEYWORD for each in parameters_of(env.reset).values())
    inner = getattr(env, "env", None)
    return hands_on and (from_gymnasium(env) if inner is None else _takes_seed(inner))


def _takes(method: Callable[..., Any], name: str) -> bool:
    return name in parameters_of(method)


def parameters_of(method: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    """Give a function's parameters by name; none of what Python cannot tell them of, such as what is written in C."""
    try:
        # Python 3.8 gives those of typing.Generic's __new__ for a class of Gym's, which is generic
        called = getattr(method, "__init__") if isinstance(method, type) else method  # noqa: B009  # mypy doubts it
        return inspect.signature(called).parameters
    except (TypeError, ValueError):
        return {}
