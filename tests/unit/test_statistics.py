"""Statistics of episodes, against values from tables."""

from __future__ import annotations

import pytest

from rl_app.reports.statistics import difference, interval, summary


def test_a_summary_has_the_samples_statistics_and_students_interval() -> None:
    found = summary([1.0, 2.0, 3.0, 4.0, 10.0])
    assert (found["n"], found["mean"], found["min"], found["median"], found["max"]) == (5, 4.0, 1.0, 3.0, 10.0)
    assert found["std"] == pytest.approx(3.5355339)
    # t of 4 degrees of freedom at 97.5 % is 2.776445
    assert found["confidence_interval"] == pytest.approx([4 - 2.776445 * 1.5811388, 4 + 2.776445 * 1.5811388], abs=1e-5)
    assert "Student t" in found["confidence_interval_method"] and "95%" in found["confidence_interval_method"]


def test_with_many_values_the_interval_is_the_normal_distributions() -> None:
    low, high = interval([-1.0, 1.0] * 50_000) or [0.0, 0.0]
    assert high * 100_000**0.5 == pytest.approx(1.96, abs=1e-3)
    assert low == -high


@pytest.mark.parametrize(("rewards", "mean"), [([], None), ([7.0], 7.0)])
def test_too_few_episodes_have_no_spread(rewards: "list[float]", mean: object) -> None:
    found = summary(rewards)
    assert (found["n"], found["mean"], found["std"], found["confidence_interval"]) == (len(rewards), mean, None, None)


def test_models_are_compared_episode_by_episode() -> None:
    found = difference([1.0, 100.0, 50.0], [2.0, 102.0, 51.5])
    assert (found["n"], found["mean"]) == (3, 1.5)
    # that episodes differ among themselves, by far more than the models, does not widen it: t(2) is 4.302653
    assert found["confidence_interval"] == pytest.approx([1.5 - 4.302653 * 0.2886751, 1.5 + 4.302653 * 0.2886751])


def test_what_a_stop_left_out_of_one_model_does_not_count() -> None:
    assert difference([1.0, 2.0, 3.0], [2.0])["n"] == 1
    assert difference([1.0], [])["mean"] is None
