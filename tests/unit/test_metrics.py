"""Rows survive NaN, a crash in the middle of a line, and a restart from an earlier iteration."""

import json
import math

import numpy as np

from rl_app.job import metrics
from rl_app.terminal.console import iteration_line


def result(**changes):
    base = {
        "training_iteration": 1,
        "episode_reward_mean": 20.0,
        "episode_reward_min": 10.0,
        "episode_reward_max": 30.0,
        "episodes_total": 2,
        "timesteps_this_iter": 500,
        "timesteps_total": 500,
        "time_this_iter_s": 0.5,
        "time_total_s": 0.5,
        "hist_stats": {"episode_reward": [10.0, 30.0]},
        "info": {"sample_time_ms": 12.5, "learner": {}},
    }
    return {**base, **changes}


def test_a_row_is_plain_json_with_spread_throughput_and_timers():
    row = metrics.row(result(episode_reward_max=np.float64(30.0)))
    assert row["episode_reward_std"] == 10.0
    assert row["steps_per_s"] == 1000.0
    assert row["sample_time_ms"] == 12.5
    assert json.loads(json.dumps(row, allow_nan=False)) == row


def test_a_mean_of_no_episodes_is_null_and_not_nan():
    nan = float("nan")
    row = metrics.row(result(episode_reward_mean=nan, episode_reward_min=nan, episode_reward_max=nan, hist_stats={}))
    assert row["episode_reward_mean"] is None
    assert row["episode_reward_std"] is None
    assert "NaN" not in json.dumps(row)


def test_the_steps_of_an_iteration_are_the_difference_of_the_totals_where_the_algorithm_has_only_those():
    """As of DQN, which RLlib runs by an execution plan."""
    planned = result(timesteps_this_iter=None, timesteps_total=1000)
    first = metrics.row(planned)
    assert (first["timesteps_this_iter"], first["steps_per_s"]) == (1000, 2000.0)
    second = metrics.row({**planned, "training_iteration": 2, "timesteps_total": 1504}, first)
    assert (second["timesteps_this_iter"], second["steps_per_s"]) == (504, 1008.0)


def test_they_go_on_across_a_resume(tmp_path):
    planned = result(timesteps_this_iter=None)
    before = metrics.History([tmp_path])
    for iteration in (1, 2, 3):
        counted = {**planned, "training_iteration": iteration, "timesteps_total": 500 * iteration}
        before.add(metrics.row(counted, before.latest))
    after = metrics.History([tmp_path])
    after.resume(tmp_path, 2)
    after.add(metrics.row({**planned, "training_iteration": 3, "timesteps_total": 1600}, after.latest))
    assert [row["timesteps_this_iter"] for row in metrics.read(tmp_path)] == [500, 500, 600]


def test_they_are_unknown_where_the_row_before_was_lost():
    lost = result(timesteps_this_iter=None, timesteps_total=9000, training_iteration=9)
    row = metrics.row(lost)
    assert row["timesteps_this_iter"] is None and row["steps_per_s"] is None
    assert "9000 steps  0 steps/s" in iteration_line({**row, "episodes_total": 2}, {})


def test_history_is_in_every_directory_as_soon_as_it_is_added(tmp_path):
    first, second = tmp_path / "a", tmp_path / "b"
    first.mkdir(), second.mkdir()
    history = metrics.History([first, second])
    history.add(metrics.row(result()))
    assert metrics.read(first) == metrics.read(second) == history.rows


def test_a_line_that_a_crash_cut_short_is_left_out(tmp_path):
    history = metrics.History([tmp_path])
    history.add(metrics.row(result()))
    with (tmp_path / "metrics.jsonl").open("a") as stream:
        stream.write('{"training_iteration": 2, "episode_re')
    assert [row["training_iteration"] for row in metrics.read(tmp_path)] == [1]


def test_a_resumed_history_drops_what_came_after_the_checkpoint(tmp_path):
    kept, live = tmp_path / "checkpoints", tmp_path / "live"
    kept.mkdir(), live.mkdir()
    before = metrics.History([kept])
    for iteration in (1, 2, 3):
        before.add(metrics.row(result(training_iteration=iteration)))
    after = metrics.History([kept, live])
    after.resume(kept, 2)
    after.add(metrics.row(result(training_iteration=3, episode_reward_mean=99.0)))
    assert [row["episode_reward_mean"] for row in metrics.read(kept)] == [20.0, 20.0, 99.0]
    assert metrics.read(live) == metrics.read(kept)


def test_the_reward_of_an_iteration_without_episodes_is_below_every_other(tmp_path):
    history = metrics.History([tmp_path])
    history.add(metrics.row(result(training_iteration=1, episode_reward_mean=float("nan"))))
    history.add(metrics.row(result(training_iteration=2, episode_reward_mean=-1e9)))
    assert history.reward_of(1) == -math.inf < history.reward_of(2)
