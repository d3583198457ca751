"""Settings that JSON cannot hold: callbacks, NumPy's numbers and arrays, paths and sets train, and are reported."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List

import pytest

from rl_app.job.metric_definitions import found
from tests.app.jobs import Finished, local, run

EXPERIMENTS = '''
"""Counts a metric of its own in callbacks, and evaluates without exploration every iteration."""

from pathlib import Path

import numpy as np
from ray.rllib.agents.callbacks import DefaultCallbacks


class Angles(DefaultCallbacks):
    def on_episode_start(self, worker, base_env, policies, episode, **kwargs):
        episode.user_data["angles"] = []

    def on_episode_step(self, worker, base_env, episode, **kwargs):
        episode.user_data["angles"].append(abs(float(episode.last_observation_for()[2])))

    def on_episode_end(self, worker, base_env, policies, episode, **kwargs):
        episode.custom_metrics["angle"] = max(episode.user_data["angles"])


EXPERIMENTS = {
    "angles": {
        "run": "PPO",
        "env": "Tilted-v0",
        "stop": {"training_iteration": np.int64(2)},
        "config": {
            "num_workers": 0, "simple_optimizer": True, "train_batch_size": np.int64(400), "sgd_minibatch_size": 50,
            "num_sgd_iter": 2, "lr": np.float32(0.001), "model": {"fcnet_hiddens": [16]}, "callbacks": Angles,
            "evaluation_interval": 1, "evaluation_num_episodes": 2, "evaluation_config": {"explore": False},
            "env_config": {
                "tilts": np.array([0.0, 0.5]), "levels": Path("levels"), "allowed": {0, 1}, "reward": abs, "many": 3
            },
        },
    }
}
'''

ENVS = """
import gym


def tilted(env_config):
    assert env_config["many"] == 3
    assert len(env_config["tilts"]) == 2 and 1 in env_config["allowed"] and env_config["levels"]
    return gym.make("CartPole-v1")


ENVS = {"Tilted-v0": tilted}
"""


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    store, source = tmp_path_factory.mktemp("store"), tmp_path_factory.mktemp("source")
    (source / "experiments.py").write_text(EXPERIMENTS)
    (source / "envs.py").write_text(ENVS)
    ran = run(local("angles", "--job", "angles", "--store", str(store), "--source", str(source)))
    assert ran.status == 0, ran
    return Finished(store, "angles", ran)


@pytest.fixture(scope="module")
def output(job: Finished, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return job.unpack("output.tar.gz", tmp_path_factory.mktemp("output"))


def rows(output: Path) -> List[Dict[str, Any]]:
    return [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]


def test_params_hold_what_the_trial_was_given_as_json_can(job: Finished, output: Path, tmp_path: Path) -> None:
    for folder in (output, job.unpack("model.tar.gz", tmp_path)):
        params = json.loads((folder / "params.json").read_text())
        assert "callbacks" not in params and "gamma" not in params
        assert (params["env"], params["train_batch_size"]) == ("Tilted-v0", 400)
        assert params["env_config"] == {"tilts": [0.0, 0.5], "levels": "levels", "allowed": [0, 1], "many": 3}


def test_the_report_shows_what_is_no_data_by_its_repr(output: Path) -> None:
    page = (output / "report.html").read_text()
    for part in ("&lt;class &#39;experiments.Angles&#39;&gt;", "&lt;built-in function abs&gt;", "array([0. , 0.5])"):
        assert part in page


def test_a_row_has_the_learning_the_evaluation_and_the_users_own_metric(output: Path) -> None:
    for row in rows(output):
        for name in ("entropy", "kl", "policy_loss", "vf_loss", "vf_explained_var", "cur_lr", "evaluation_reward_mean"):
            assert isinstance(row[name], float), name
        assert row["cur_lr"] == pytest.approx(0.001)
        assert row["evaluation_reward_min"] <= row["evaluation_reward_mean"] <= row["evaluation_reward_max"]
        assert 0 < row["custom_metrics/angle_mean"] < 1


def test_the_report_draws_them(output: Path) -> None:
    page = (output / "report.html").read_text()
    for name in ("evaluation_reward_mean", "entropy", "vf_loss", "episode_len_mean", "custom_metrics/angle_mean"):
        assert f'data-chart="{name}"' in page


def test_tensorboard_has_them_by_rllibs_own_names(output: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(output))
    events.Reload()
    tags = set(events.Tags()["scalars"])
    for name in ("evaluation/episode_reward_mean", "custom_metrics/angle_mean", "episode_len_mean"):
        assert f"ray/tune/{name}" in tags
    for name in ("entropy", "kl", "policy_loss", "vf_loss", "vf_explained_var", "cur_lr"):
        assert any(tag.startswith("ray/tune/info/learner/") and tag.endswith(f"/{name}") for tag in tags), name


def test_sagemaker_finds_them_in_the_log_and_a_terminals_line_is_no_longer(job: Finished, output: Path) -> None:
    last = rows(output)[-1]
    seen: Dict[str, float] = {}
    for line in job.ran.stdout.splitlines():
        seen.update(found(line))
        assert len(line) <= 170 or line.startswith("learning")
    for name in ("entropy", "kl", "vf_loss", "cur_lr", "evaluation_reward_mean", "episode_reward_mean"):
        assert seen[name] == pytest.approx(last[name], rel=1e-3, abs=0.01), name


def test_its_model_is_evaluated(job: Finished) -> None:
    """By what JSON holds of the env_config."""
    ran = run(
        [
            *local()[:-1],
            "evaluate",
            "angles",
            "videos=0",
            "--episodes",
            "2",
            "--job",
            "how-good",
            "--store",
            str(job.store),
        ]
    )
    assert ran.status == 0, ran
