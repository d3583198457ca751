"""The contract that every environment of the registry keeps, and what the games promise."""

from __future__ import annotations

from typing import Any, Iterator, List, Tuple

import numpy as np
import pytest

from rl_app.envs import ENVS
from rl_app.envs.contract.creation import creator
from rl_app.errors import UserError

STEPS = 300


@pytest.fixture(params=ENVS)
def env(request: pytest.FixtureRequest) -> Iterator[Any]:
    made = ENVS[request.param]({})
    yield made
    made.close()


def played(env: Any, seed: int, steps: int = STEPS) -> List[Tuple[Any, float, bool]]:
    """Random steps; the same seed gives the same."""
    env.seed(seed)
    env.action_space.seed(seed)
    steps_taken = [(env.reset(), 0.0, False)]
    for _ in range(steps):
        observation, reward, done, info = env.step(env.action_space.sample())
        assert isinstance(info, dict)
        steps_taken.append((env.reset() if done else observation, reward, done))
    return steps_taken


def same(one: Any, other: Any) -> bool:
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return bool(np.array_equal(one, other))


def test_observations_lie_in_their_space_and_rewards_are_numbers(env: Any) -> None:
    for observation, reward, done in played(env, seed=0):
        assert env.observation_space.contains(observation), observation
        assert isinstance(reward, float) and np.isfinite(reward)
        assert isinstance(done, bool)


def test_episodes_end(env: Any) -> None:
    assert any(done for _, _, done in played(env, seed=0, steps=2000))


def test_the_same_seed_plays_the_same_and_another_does_not(env: Any) -> None:
    first, again, other = (played(env, seed) for seed in (1, 1, 2))
    assert all(same(one[0], two[0]) and one[1:] == two[1:] for one, two in zip(first, again))
    assert not all(same(one[0], two[0]) for one, two in zip(first, other))


def test_what_was_observed_does_not_change_later(env: Any) -> None:
    env.seed(0)
    observation = env.reset()
    before = (
        {key: np.copy(value) for key, value in observation.items()}
        if isinstance(observation, dict)
        else (np.copy(observation))
    )
    for _ in range(5):
        env.step(env.action_space.sample())
    assert same(before, observation)


def test_it_draws_itself_without_a_screen(env: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    env.reset()
    picture = env.render(mode="rgb_array")
    assert picture.dtype == np.uint8 and picture.ndim == 3 and picture.shape[2] == 3
    assert picture.std() > 0


def lands_in(observation: Any) -> int:
    """The column where the ball of Catch will land, from the two pictures alone; a new ball may drift anywhere."""
    cells = observation[::3, ::3]
    ((row, column),) = np.argwhere(cells[..., 0] == 1)
    earlier = np.argwhere(cells[..., 1] == 1)
    drift = column - earlier[0][1] if earlier[0][0] == row - 1 else 0
    for _ in range(13 - row):
        if not 0 <= column + drift < 14:
            drift = -drift
        column += drift
    return int(column)


def test_who_sees_where_a_ball_lands_catches_all() -> None:
    env = ENVS["Catch-v0"]({})
    for seed in range(50):
        env.seed(seed)
        observation, done, total = env.reset(), False, 0.0
        while not done:
            middle = np.flatnonzero(observation[-1, ::3, 0] >= 0.5)
            paddle = round(float(np.median(middle)))
            observation, reward, done, _ = env.step(int(1 + np.sign(lands_in(observation) - paddle)))
            total += reward
        assert total == 5


def test_an_unknown_environment_is_told_with_the_nearest_names_each_once() -> None:
    with pytest.raises(UserError) as refused:
        creator("cartpole", envs=ENVS)
    assert str(refused.value).endswith("; did you mean CartPole-v1, CartPole-v0?")
