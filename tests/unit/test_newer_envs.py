"""Environments written for Gym 0.26 are met as Gym 0.22 has them, or refused in one line."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple

import gym
import numpy as np
import pytest
from gym import spaces

from rl_app.envs.contract import newer
from rl_app.envs.contract.checked import Manner
from rl_app.envs.contract.creation import creator
from rl_app.errors import UserError
from rl_app.training import truncation

LENGTH = 4


class Line(gym.Env):
    """Ends after LENGTH steps by itself, or is cut after ``cut``; an observation is the seed's number and the step."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 5}  # noqa: RUF012  # as gym has it
    observation_space: Any = spaces.Box(0.0, 1000.0, (2,), np.float64)
    action_space: Any = spaces.Discrete(3, start=1)

    def __init__(self, cut: int = 100, render_mode: Optional[str] = None) -> None:
        self.cut, self.render_mode = cut, render_mode
        self.acted: List[Any] = []

    def reset(self, seed: Optional[int] = None, options: Any = None) -> Tuple[Any, Dict[str, Any]]:
        super().reset(seed=seed)
        self.number, self.steps = float(self.np_random.integers(1000)), 0
        return self.seen(), {"from": "reset"}

    def step(self, action: Any) -> Tuple[Any, ...]:
        self.steps += 1
        self.acted.append(action)
        return self.seen(), 1.0, self.steps == LENGTH, self.steps == self.cut, {"steps": self.steps}

    def seen(self) -> Any:
        return np.array([self.number, self.steps])

    def render(self) -> Any:
        return np.full((2, 3, 3), self.steps, np.uint8)


def made(constructor: Callable[..., Any], seed: Optional[int] = 1, **manner: Any) -> Any:
    return creator("line", seed, {"line": constructor}, Manner(as_rllib=True, **manner))({})


def episode(env: Any) -> List[Tuple[Any, ...]]:
    """The first observation alone, then what each step gave."""
    given: List[Tuple[Any, ...]] = [(env.reset(),)]
    while len(given) == 1 or not given[-1][2]:
        given.append(env.step(0))
    return given


def flags(env: Any) -> Tuple[bool, bool, bool]:
    """How an episode ended: done, truncated as Gym says it, and truncated as RLlib is told."""
    _, _, done, info = episode(env)[-1]
    return done, bool(info.get(newer.LIMIT)), newer.is_truncated(info)


def test_an_episode_is_told_in_four_values() -> None:
    env = made(lambda config: Line())
    given = episode(env)
    assert [len(step) for step in given] == [1, *[4] * LENGTH]
    assert [step[0][1] for step in given] == list(range(LENGTH + 1))
    assert given[1][1:] == (1.0, False, {"steps": 1}) and given[-1][2] is True
    assert env.unwrapped.acted == [1] * LENGTH  # RLlib's 0 is the first of a Discrete that starts at 1
    assert newer.is_adapted(env)


@pytest.mark.parametrize(
    "cut, expected",
    [(100, (True, False, False)), (2, (True, True, True)), (LENGTH, (True, False, False))],
    ids=["ended", "cut", "both"],
)
def test_what_ended_is_kept_apart_from_what_was_cut(cut: int, expected: Tuple[bool, bool, bool]) -> None:
    assert flags(made(lambda config: Line(cut))) == expected


def test_gyms_own_time_limit_cuts_too() -> None:
    assert flags(made(lambda config: gym.wrappers.TimeLimit(Line(), 2))) == (True, True, True)


class Older(gym.Env):
    observation_space = spaces.Box(0.0, 1.0, (1,), np.float32)
    action_space = spaces.Discrete(2)

    def reset(self, seed: Optional[int] = None, options: Any = None) -> Any:
        return np.zeros(1, np.float32)

    def step(self, action: Any) -> Tuple[Any, ...]:
        return np.ones(1, np.float32), 1.0, True, {}


def test_an_older_one_with_the_newer_parameters_stays_as_it_is() -> None:
    env = made(lambda config: Older())
    assert [len(step) for step in episode(env)] == [1, 4] and not newer.is_adapted(env)


def test_the_time_limit_of_an_older_one_counts_as_ever() -> None:
    assert flags(made(lambda config: gym.wrappers.TimeLimit(gym.make("CartPole-v1"), 2))) == (True, True, False)


class Tenfold(gym.Wrapper):  # type: ignore[misc]  # gym has no types
    """A wrapper in the manner of Gym 0.26."""

    def reset(self, **kwargs: Any) -> Any:
        observation, info = self.env.reset(**kwargs)
        return observation, info

    def step(self, action: Any) -> Any:
        observation, reward, terminated, truncated, info = self.env.step(action)
        return observation, 10 * reward, terminated, truncated, info


class Halved(gym.ObservationWrapper):  # type: ignore[misc]
    """A wrapper whose reset and step are those of the Gym that is installed."""

    def observation(self, observation: Any) -> Any:
        return observation / 2


WRAPPED: Mapping[str, Callable[[Any], Any]] = {
    "newer": Tenfold,
    "gym's": gym.wrappers.OrderEnforcing,
    "gym's around newer": lambda env: gym.wrappers.TimeLimit(gym.wrappers.OrderEnforcing(Tenfold(env)), 3),
    "one function": lambda env: Halved(Tenfold(env)),
    "twice": lambda env: Tenfold(Tenfold(env)),
}


@pytest.mark.parametrize("wrap", WRAPPED.values(), ids=WRAPPED)
def test_wrappers_of_either_kind_are_kept_and_seeds_pass_through_them(wrap: Callable[[Any], Any]) -> None:
    alone, first, again, other = (
        episode(made(lambda config, each=each: each(Line()), seed))
        for each, seed in ((lambda env: env, 1), (wrap, 1), (wrap, 1), (wrap, 2))
    )
    assert len(first) in (len(alone), 4) and first[1][1] in (1.0, 10.0, 100.0)
    assert np.array_equal(first[0][0], again[0][0]) and not np.array_equal(first[0][0], other[0][0])
    assert first[0][0][0] in (alone[0][0][0], alone[0][0][0] / 2)


def test_one_that_shows_only_by_what_it_gives_is_adapted() -> None:
    class Bare(Line):
        def reset(self) -> Any:  # type: ignore[override]
            return super().reset()

    env = made(lambda config: gym.wrappers.OrderEnforcing(Bare(cut=2)))
    assert flags(env) == (True, True, True) and flags(env) == (True, True, True)


class Pairs(Line):
    """Observes two parts, the second a Dict, which looks like an observation and an info."""

    observation_space = spaces.Tuple([spaces.Discrete(3), spaces.Dict({"at": spaces.Discrete(2)})])

    def seen(self) -> Any:
        return 1, {"at": 0}


def test_an_observation_of_two_parts_is_no_pair_with_an_info() -> None:
    class OlderPairs(Pairs):
        def reset(self, seed: Optional[int] = None, options: Any = None) -> Any:
            return super().reset()[0]

        def step(self, action: Any) -> Any:
            return self.seen(), 1.0, True, {}

    for constructor in (Pairs, OlderPairs):
        assert episode(made(lambda config, kind=constructor: kind()))[0][0] == (1, {"at": 0})


def refusal(constructor: Callable[..., Any]) -> str:
    with pytest.raises(UserError) as refused:
        episode(made(constructor))
    return str(refused.value)


class FourAfterAPair(Line):
    def step(self, action: Any) -> Tuple[Any, ...]:
        return self.seen(), 1.0, True, {}


class FiveAfterOne(Line):
    def reset(self, seed: Optional[int] = None, options: Any = None) -> Any:
        return super().reset()[0]


class NoFlag(Line):
    def step(self, action: Any) -> Tuple[Any, ...]:
        return self.seen(), 1.0, False, "no", {}


class Outside(Line):
    def reset(self, seed: Optional[int] = None, options: Any = None) -> Any:
        return [1.0, 2.0, 3.0], {}


class Raises(Line):
    def step(self, action: Any) -> Tuple[Any, ...]:
        raise KeyError("north")


@pytest.mark.parametrize(
    "kind, said",
    [
        (FourAfterAPair, "expected (observation, reward, terminated, truncated, info), for its reset gives"),
        (FiveAfterOne, "): expected (observation, reward, done, info), as its reset does not give (observation,"),
        (NoFlag, "step gave 'no' for truncated: expected True or False"),
        (Outside, "reset gave an observation outside its space"),
        (Raises, "step raised KeyError: 'north'"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_is_wrong_is_one_line_with_file_and_line(kind: Any, said: str) -> None:
    line = refusal(lambda config: kind())
    assert line.startswith("env = line: ") and said in line and "\n" not in line
    assert "test_newer_envs.py:" in line


# ---- pictures


def test_it_is_made_to_be_drawn_where_its_constructor_can_be_told() -> None:
    env = made(lambda config, render_mode=None: Line(render_mode=render_mode), drawn=True)
    env.reset()
    env.step(0)
    assert env.render(mode="rgb_array").tolist() == np.ones((2, 3, 3)).tolist()


def test_a_class_in_envs_is_told_too() -> None:
    class Seen(Line):
        def __init__(self, config: Any, render_mode: Optional[str] = None) -> None:
            super().__init__(render_mode=render_mode)

    assert made(Seen, drawn=True).unwrapped.render_mode == "rgb_array"


def test_training_asks_for_no_pictures() -> None:
    assert made(lambda config, render_mode=None: Line(render_mode=render_mode)).unwrapped.render_mode is None


def test_what_the_config_says_of_pictures_comes_first() -> None:
    def constructor(config: Mapping[str, Any], render_mode: str = "none") -> Any:
        return Line(render_mode=config.get("render_mode", render_mode))

    assert creator("line", 1, {"line": constructor}, Manner(drawn=True))({"render_mode": "ansi"}).render_mode == "ansi"


def test_one_that_was_not_made_to_be_drawn_says_how_it_would_be() -> None:
    env = made(lambda config: gym.wrappers.OrderEnforcing(Line()))
    env.reset()
    with pytest.raises(NotImplementedError, match=r"its render_mode is None: .*config\.env_config"):
        env.render(mode="rgb_array")


# ---- what becomes of an episode that was cut


@pytest.mark.parametrize(
    "run, config, said",
    [
        ("PPO", {}, "go on in the value that is expected after them"),
        ("APPO", {"vtrace": False}, "go on in the value that is expected after them"),
        ("APPO", {"vtrace": True}, "count as ended in APPO: V-trace"),
        ("IMPALA", {"vtrace": True}, "count as ended in IMPALA: V-trace"),
        ("PG", {}, "count as ended in PG: it estimates no value"),
    ],
)
def test_one_line_says_what_becomes_of_truncated_episodes(run: str, config: Mapping[str, Any], said: str) -> None:
    line = truncation.about("line", run, config)
    assert line.startswith("env = line is written for Gym 0.26 or Gymnasium") and f"truncated episodes {said}" in line
