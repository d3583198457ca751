"""The time left of a job, from made curves."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence

import pytest

from rl_app.terminal.time_left import in_words, seconds_left


def rows(rewards: Sequence[Optional[float]], seconds: float = 10.0, steps: int = 1000) -> List[Dict[str, Any]]:
    """A job whose iterations take equally long."""
    return [
        {
            "training_iteration": index,
            "episode_reward_mean": reward,
            "timesteps_total": steps * index,
            "time_total_s": seconds * index,
        }
        for index, reward in enumerate(rewards, start=1)
    ]


def test_nothing_is_known_before_the_first_iteration() -> None:
    assert seconds_left([], {"timesteps_total": 1000}) is None
    assert seconds_left(rows([1.0, 2.0]), {}) is None


@pytest.mark.parametrize(
    ("stop", "expected"),
    [
        ({"timesteps_total": 10_000}, 50.0),
        ({"training_iteration": 6}, 10.0),
        ({"time_total_s": 80.0}, 30.0),
        ({"episode_reward_mean": 100.0}, 50.0),
        ({"episode_reward_mean": 100.0, "timesteps_total": 6000}, 10.0),
        ({"episode_reward_mean": 60.0, "timesteps_total": 100_000}, 10.0),
        ({"episode_reward_mean": 20.0}, 0.0),
    ],
)
def test_what_ends_the_job_first_counts(stop: Dict[str, float], expected: float) -> None:
    assert seconds_left(rows([10, 20, 30, 40, 50]), stop) == pytest.approx(expected)


def test_one_iteration_is_enough_for_what_counts_up_and_not_for_a_reward() -> None:
    assert seconds_left(rows([10.0]), {"timesteps_total": 4000}) == pytest.approx(30.0)
    assert seconds_left(rows([10.0]), {"episode_reward_mean": 100.0}) is None


def test_a_reward_that_does_not_rise_says_nothing() -> None:
    assert seconds_left(rows([50, 40, 30]), {"episode_reward_mean": 100.0}) is None
    assert seconds_left(rows([50, 50, 50]), {"episode_reward_mean": 100.0}) is None
    assert seconds_left(rows([None, None]), {"episode_reward_mean": 100.0}) is None


def test_a_rise_long_ago_is_forgotten() -> None:
    curve = [10.0 * index for index in range(30)] + [300.0] * 25
    assert seconds_left(rows(curve), {"episode_reward_mean": 475.0}) is None


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "0 s"),
        (59.4, "59 s"),
        (60, "1 min 00 s"),
        (599, "9 min 59 s"),
        (601, "10 min"),
        (3600, "1 h 00 min"),
        (9000, "2 h 30 min"),
        (864_000, "10 days"),
    ],
)
def test_it_is_said_in_a_few_characters(seconds: float, words: str) -> None:
    assert in_words(seconds) == words
