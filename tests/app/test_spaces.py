"""What environments give and take, made right where RLlib would take it wrong, or refused: on the wrapper itself."""

from __future__ import annotations

from collections import OrderedDict
from decimal import Decimal
from typing import Any, Dict, List, Optional, Tuple

import gym
import numpy as np
import pytest
from gym import spaces
from ray.rllib.models.preprocessors import get_preprocessor

from rl_app.envs.contract.checked import Manner
from rl_app.envs.contract.creation import creator
from rl_app.errors import JobError, UserError

BOX = spaces.Box(-1.0, 1.0, (1,), np.float32)
SORTED = spaces.Dict({"speed": BOX, "angle": BOX})
UNSORTED = spaces.Dict(OrderedDict([("speed", BOX), ("angle", BOX)]))
SPEED, ANGLE = np.array([0.5], np.float32), np.array([-0.5], np.float32)
PLAIN = {"speed": SPEED, "angle": ANGLE}
TWO = spaces.Discrete(2)


class Mine(gym.Env):
    """Gives what it is told to, and keeps what it is given."""

    def __init__(self, observations: gym.Space, actions: gym.Space = TWO) -> None:
        self.observation_space, self.action_space = observations, actions
        self.gives: Any = None
        self.rest: Tuple[Any, Any, Any] = (0.0, False, {})
        self.taken: List[Any] = []

    def seed(self, seed: Optional[int] = None) -> None:
        pass

    def reset(self) -> Any:
        return self.gives

    def step(self, action: Any) -> Any:
        self.taken.append(action)
        return (self.gives, *self.rest)


def wrapped(mine: Mine, **manner: Any) -> gym.Env:
    return creator("mine", envs={"mine": lambda env_config: mine}, manner=Manner(**manner))({})


def seen(space: gym.Space, observation: Any, **manner: Any) -> Any:
    mine = Mine(space)
    mine.gives = observation
    return wrapped(mine, **manner).step(0)[0]


def given(space: gym.Space, action: Any) -> Any:
    """What an environment with this space of actions is given for RLlib's action."""
    mine = Mine(TWO, space)
    mine.gives = 0
    wrapped(mine).step(action)
    assert space.contains(mine.taken[0]), mine.taken
    return mine.taken[0]


# ---- observations


@pytest.mark.parametrize(
    ("space", "observation", "expected"),
    [
        (SORTED, PLAIN, [-0.5, 0.5]),
        (UNSORTED, PLAIN, [0.5, -0.5]),
        (SORTED, OrderedDict(PLAIN), [-0.5, 0.5]),
        (spaces.Tuple([BOX, UNSORTED]), (SPEED, PLAIN), [0.5, 0.5, -0.5]),
        (spaces.Discrete(3, start=-1), -1, [1, 0, 0]),
        (spaces.Tuple([spaces.Discrete(2, start=5), BOX]), (6, SPEED), [0, 1, 0.5]),
        (spaces.MultiBinary((2, 2)), np.array([[1, 0], [1, 1]]), [1, 0, 1, 1]),
        (spaces.MultiDiscrete([[3], [4]]), np.array([[2], [3]]), [2, 3]),
        (spaces.Box(-1.0, 1.0, (), np.float32), np.float32(0.5), [0.5]),
        (spaces.Box(-1.0, 1.0, (), np.float32), 0.5, [0.5]),
        (TWO, True, [0, 1]),
        (TWO, False, [1, 0]),
        (TWO, 1.0, [0, 1]),
        (TWO, np.array([1]), [0, 1]),
        (BOX, [0.5], [0.5]),
    ],
)
def test_rllib_sees_what_the_space_says(space: gym.Space, observation: Any, expected: List[float]) -> None:
    mine = Mine(space)
    mine.gives = observation
    env = wrapped(mine)
    preprocessor = get_preprocessor(env.observation_space)(env.observation_space)
    assert np.ravel(preprocessor.transform(env.step(0)[0])).tolist() == expected


@pytest.mark.parametrize(
    ("space", "observation", "reason"),
    [
        (TWO, -1, r"outside its space Discrete\(2\): -1"),
        (TWO, 0.5, r"outside its space Discrete\(2\): 0\.5: expected an integer"),
        (TWO, np.array([0, 1]), r"outside .*: expected an integer"),
        (TWO, "1", r"outside its space Discrete\(2\): '1': expected an integer"),
        (TWO, None, r"outside its space Discrete\(2\): None: expected an integer"),
        (BOX, np.zeros(2, np.float32), r"outside .*: the shape \[2\] in place of \[1\]"),
        (BOX, "text", r"outside .*'text': <U4 in place of float32"),
        (BOX, None, r"outside .*None: object in place of float32"),
        (BOX, [[0.5], []], r"outside .*: (lists of different lengths|object in place of float32)"),
        (BOX, np.array([np.nan], np.float32), r"with nan at \[0\]"),
        (BOX, np.array([np.inf], np.float32), r"with inf at \[0\]"),
        (
            spaces.Box(-1e300, 1e300, (1,), np.float64),
            np.array([1e200]),
            r"with 1e\+200, which is beyond float32, at \[0\]",
        ),
        (spaces.Box(0, 255, (1,), np.uint8), np.array([300]), r"outside .*what is no uint8"),
        (spaces.Box(0, 255, (1,), np.uint8), np.array([0.5]), r"outside .*what is no uint8"),
        (SORTED, {"speed": SPEED}, r"outside .*: expected a dict with angle, speed"),
        (SORTED, {"speed": SPEED, "angel": ANGLE}, r"outside .*: the keys speed, angel"),
        (SORTED, {"speed": SPEED, "angle": ANGLE * np.nan}, r"with nan at \['angle'\]\[0\]"),
        (spaces.Tuple([BOX, TWO]), (SPEED,), r"outside .*: expected 2 parts"),
    ],
)
def test_what_is_no_value_of_the_space_ends_the_job_and_says_why(
    space: gym.Space, observation: Any, reason: str
) -> None:
    with pytest.raises(UserError, match=rf"^env = mine: step gave an observation {reason}.* \(.*\.py:\d+\)$"):
        seen(space, observation)


def test_what_is_out_of_bounds_is_passed_on_unless_that_is_strict(capfd: pytest.CaptureFixture[str]) -> None:
    assert seen(BOX, np.array([7.0], np.float32)).tolist() == [7.0]
    with pytest.raises(UserError, match=r"outside its space Box\(.*\): 7\.0 at \[0\]"):
        seen(BOX, np.array([7.0], np.float32), strict=True)


def test_the_network_is_shown_a_copy() -> None:
    array = np.zeros(1, np.float32)
    shown = seen(BOX, array)
    array[0] = 1.0
    assert shown[0] == 0.0


# ---- actions


@pytest.mark.parametrize(
    ("space", "chosen", "expected"),
    [
        (spaces.Discrete(3, start=-1), np.int64(0), -1),
        (spaces.MultiBinary((2, 2)), np.array([1, 0, 0, 1]), [[1, 0], [0, 1]]),
        (spaces.MultiDiscrete([[3], [4]]), np.array([2, 3]), [[2], [3]]),
        (spaces.Box(-3, 7, (2,), np.int64), np.array([6.6, -9.0], np.float32), [7, -3]),
        (spaces.Box(-(2**63), 2**63 - 1, (1,), np.int64), np.array([1e30], np.float32), [2**63 - 1]),
        (spaces.Box(-1.0, 1.0, (1, 2), np.float64), np.array([0.5, -0.5], np.float32), [[0.5, -0.5]]),
        (spaces.Box(-1.0, 1.0, (), np.float32), np.array([0.5], np.float32), 0.5),
    ],
)
def test_the_environment_is_given_an_action_of_its_own_space(space: gym.Space, chosen: Any, expected: Any) -> None:
    assert np.asarray(given(space, chosen)).tolist() == expected


def test_several_actions_are_nested_as_they_are_declared() -> None:
    space = spaces.Dict({"b": spaces.Tuple([TWO, spaces.Discrete(2, start=4)]), "a": spaces.MultiBinary(2)})
    taken = given(space, (np.array([1, 0]), np.int64(1), np.int64(0)))
    assert taken["b"] == (1, 4)
    assert taken["a"].tolist() == [1, 0]


def test_an_action_that_the_environment_changes_is_its_own() -> None:
    chosen = np.array([0.5], np.float32)
    given(BOX, chosen)[0] = 1.0
    assert chosen[0] == 0.5


def test_an_action_that_is_no_number_is_the_policys_fault() -> None:
    with pytest.raises(JobError, match=r"^the policy chose the action \[nan\]: its weights are no longer finite"):
        given(BOX, np.array([np.nan], np.float32))


# ---- rewards, done and info


@pytest.mark.parametrize("reward", [1, 1.0, True, np.float32(1), np.int8(1), np.array([1.0]), np.array(1), Decimal(1)])
def test_a_reward_of_any_kind_of_number_is_a_float(reward: Any) -> None:
    mine = Mine(TWO)
    mine.gives, mine.rest = 0, (reward, np.bool_(True), None)
    _, found, done, info = wrapped(mine).step(0)
    assert (found, type(found), done, info) == (1.0, float, True, {})


@pytest.mark.parametrize("reward", [None, "1", np.nan, np.inf, 10**400, np.zeros(2), 1j])
def test_a_reward_that_is_no_finite_number_ends_the_job(reward: Any) -> None:
    mine = Mine(TWO)
    mine.gives, mine.rest = 0, (reward, False, {})
    with pytest.raises(UserError, match=r"^env = mine: step gave the reward .*: expected a finite number \(.*:\d+\)$"):
        wrapped(mine).step(0)


@pytest.mark.parametrize(
    ("done", "info", "reason"),
    [
        ("yes", {}, "'yes' for done: expected True or False"),
        (None, {}, "None for done: expected True or False"),
        (False, [1], r"the info \[1\]: expected a dict"),
    ],
)
def test_done_and_info_are_what_they_have_to_be(done: Any, info: Any, reason: str) -> None:
    mine = Mine(TWO)
    mine.gives, mine.rest = 0, (0.0, done, info)
    with pytest.raises(UserError, match=f"^env = mine: step gave {reason}"):
        wrapped(mine).step(0)


def test_five_values_are_refused_of_one_whose_reset_gives_the_observation_alone() -> None:
    class Newer(Mine):
        def step(self, action: Any) -> Any:
            return 0, 0.0, False, False, {}

    with pytest.raises(UserError, match=r"step gave five values, .*: expected \(observation, reward, done, info\), as"):
        wrapped(Newer(TWO)).step(0)


def test_numbers_of_numpy_in_info_are_pythons_where_samples_are_written() -> None:
    mine, plain = Mine(TWO), {"n": 1, "path": [0, 1], "of": {"x": 0.5}}
    info: Dict[str, Any] = {"n": np.int64(1), "path": np.arange(2), "of": {"x": np.float32(0.5)}}
    mine.gives, mine.rest = 0, (0.0, False, info)
    assert wrapped(mine, plain_infos=True).step(0)[3] == plain
