"""Episodes that a job has recorded, and others learn from: RLlib's offline algorithms through a channel."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Dict, List

import gym
import pytest
from ray.rllib.utils.compression import unpack

from rl_app.training import estimates
from rl_app.training.imports import import_rllib
from tests.app.jobs import Finished, local, run
from tests.app.test_evaluate import evaluation

FEW = ("config={}", "config.num_workers=0", "checkpoint_freq=0", "seed=1")
EVALUATED = ("config.evaluation_interval=1", "config.evaluation_num_episodes=3")


def train(store: Path, name: str, *words: str) -> Finished:
    ran = run(local("cartpole", *FEW, *words, "--job", name, "--store", str(store)))
    assert ran.status == 0, ran
    return Finished(store, name, ran)


def rows(job: Finished) -> List[Dict[str, Any]]:
    text = (job.directory / "output" / "intermediate" / "metrics.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def batches(folder: Path) -> List[Dict[str, Any]]:
    return [json.loads(line) for file in sorted(folder.glob("*.json")) for line in file.read_text().splitlines()]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What five iterations of PG have left of their episodes, with an evaluation after each."""
    store = tmp_path_factory.mktemp("recorded")
    job = train(store, "recorded", "run=PG", "config.output=true", "stop.training_iteration=5", *EVALUATED)
    return job.unpack("output.tar.gz", store / "output") / "experiences"


def test_what_is_recorded_is_what_was_trained_on_and_no_evaluation(recorded: Path) -> None:
    found = batches(recorded)
    assert [len(batch["rewards"]) for batch in found] == [200] * 5


def test_episodes_are_learnt_from_and_evaluations_play_their_own(recorded: Path, tmp_path: Path) -> None:
    words = ("run=MARWIL", "config.input=data", "--channel", f"data={recorded}", "stop.training_iteration=3")
    job = train(tmp_path, "marwil", *words, *EVALUATED)
    found = rows(job)
    assert [row["episodes_total"] for row in found] == [0, 0, 0]  # none was played to learn from
    assert all(row["evaluation_reward_mean"] > 5 for row in found)
    assert all(row["vf_loss"] > 0 for row in found)
    assert job.record["InputDataConfig"][0]["DataSource"]["S3DataSource"]["S3Uri"] == str(recorded)
    ran = run(evaluation("marwil", "--episodes", "2", "videos=0", "--restore", "--store", str(tmp_path)))
    assert ran.status == 0, ran


def test_dqn_learns_from_a_mixture_of_files_and_its_own_episodes(recorded: Path, tmp_path: Path) -> None:
    small = ("config.timesteps_per_iteration=200", "config.learning_starts=100", "stop.training_iteration=3")
    mixed = 'config.input={"data": 0.5, "sampler": 0.5}'
    job = train(tmp_path, "mixed", "run=DQN", mixed, "--channel", f"data={recorded}", *small)
    assert rows(job)[-1]["episodes_total"] > 0


def table_of(recorded: Path, file: Path) -> None:
    """Write a table of what was recorded, a row a step, as other software would have it."""
    lines = ["episode,x,speed,angle,turn,push,reward,done,p"]
    for batch in batches(recorded):
        observations = unpack(batch["obs"])
        for step, seen in enumerate(observations):
            numbers = [*seen, batch["actions"][step], batch["rewards"][step], batch["dones"][step]]
            lines.append(",".join(map(str, [batch["eps_id"][step], *numbers, batch["action_prob"][step]])))
    file.write_text("\n".join(lines))


def test_a_table_is_converted_and_learnt_from(recorded: Path, tmp_path: Path) -> None:
    table_of(recorded, tmp_path / "steps.csv")
    flags = ["--observation", "x,speed,angle,turn", "--action", "push", "--reward", "reward", "--done", "done"]
    converted = tmp_path / "episodes"
    words = [sys.executable, "-m", "rl_app", "convert", str(tmp_path / "steps.csv"), str(converted)]
    ran = run([*words, *flags, "--episode", "episode", "--action-prob", "p"])
    assert ran.status == 0, ran
    steps = sum(len(batch["rewards"]) for batch in batches(converted))
    assert steps > 900 and f"episodes of {steps} steps" in ran.stdout
    learning = ("run=MARWIL", "config.input=data", "--channel", f"data={converted}", "stop.training_iteration=2")
    found = rows(train(tmp_path, "converted", *learning, *EVALUATED, 'config.input_evaluation=["is", "wis"]'))
    assert all(row["evaluation_reward_mean"] > 5 and row["vf_loss"] > 0 for row in found)
    assert all(row[name] > 0 for row in found for name in ("is_value", "wis_value", "recorded_value"))


def test_a_policy_is_worth_by_estimate_what_it_has_earned_itself() -> None:
    import_rllib()
    from ray.rllib.agents.pg.pg import DEFAULT_CONFIG
    from ray.rllib.agents.pg.pg_tf_policy import PGTFPolicy
    from ray.rllib.evaluation.rollout_worker import RolloutWorker
    from ray.rllib.offline.is_estimator import ImportanceSamplingEstimator

    worker = RolloutWorker(
        lambda _: gym.make("CartPole-v1"),
        PGTFPolicy,
        policy_config=DEFAULT_CONFIG,
        rollout_fragment_length=100,
        batch_mode="complete_episodes",
    )
    estimator = ImportanceSamplingEstimator(worker.get_policy(), gamma=0.99)
    worker.reward_estimators = [estimator]
    estimates.correct(SimpleNamespace(workers=SimpleNamespace(foreach_worker=lambda change: change(worker))))
    for episode in worker.sample().split_by_episode():
        found = estimator.estimate(episode).metrics
        assert found["V_step_IS"] == pytest.approx(found["V_prev"], rel=1e-3)
