"""The algorithms as data: fresh copies, and a merge that changes neither side."""

from __future__ import annotations

import pytest

from rl_app import algorithms


@pytest.mark.parametrize("name", algorithms.NAMES)
def test_each_has_the_common_settings_and_its_own(name: str) -> None:
    config = algorithms.default_config(name)

    assert {"num_workers", "model", "gamma", "env_config"} <= set(config)
    assert config["model"]["fcnet_hiddens"] == [256, 256]


def test_what_an_algorithm_changes_is_laid_over_the_common_settings() -> None:
    ppo, dqn = algorithms.default_config("PPO"), algorithms.default_config("DQN")

    assert (ppo["lr"], ppo["train_batch_size"], ppo["lambda"]) == (5e-5, 4000, 1.0)
    assert dqn["exploration_config"]["type"] == "EpsilonGreedy"
    assert "lambda" not in dqn


def test_a_default_config_is_the_callers_own() -> None:
    algorithms.default_config("PPO")["model"]["fcnet_hiddens"].append(1)

    assert algorithms.default_config("PPO")["model"]["fcnet_hiddens"] == [256, 256]


def test_an_unknown_algorithm_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        algorithms.default_config("QMIX")


def test_merged_goes_into_nested_dicts_and_changes_neither() -> None:
    base = {"a": {"b": 1, "c": 2}, "d": 3, "e": {"f": 4}}
    changes = {"a": {"b": 5}, "d": {"g": 6}, "e": 7}

    assert algorithms.merged(base, changes) == {"a": {"b": 5, "c": 2}, "d": {"g": 6}, "e": 7}
    assert base == {"a": {"b": 1, "c": 2}, "d": 3, "e": {"f": 4}}
    assert changes == {"a": {"b": 5}, "d": {"g": 6}, "e": 7}
