"""Jobs of several agents: what they leave, how they go on, and what becomes of their models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List

import numpy as np
import pytest

from rl_app.evaluation.results import EVALUATION
from rl_app.job import metrics
from tests.app.jobs import REPOSITORY, Finished, Ran, local, run

RALLY = ("--source", str(REPOSITORY / "examples" / "rally"))
SHORT = ("seed=1", "checkpoint_freq=2", "keep_checkpoints_num=2")
BOTH = {"near", "far"}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("several")


def train(store: Path, name: str, *words: str) -> Finished:
    return Finished(store, name, run(local(*words, *RALLY, "--job", name, "--store", str(store))))


@pytest.fixture(scope="module")
def two(store: Path) -> Finished:
    """A job whose players have a policy each."""
    job = train(store, "two", "rally-two", "stop.training_iteration=4", *SHORT)
    assert job.ran.status == 0, job.ran
    return job


@pytest.fixture(scope="module")
def model(two: Finished, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return two.unpack("model.tar.gz", tmp_path_factory.mktemp("model"))


def evaluate(store: Path, name: str, *words: str) -> Dict[str, Any]:
    ran: Ran = run([*local()[:-1], "evaluate", *words, "--job", name, "--store", str(store), *RALLY])
    assert ran.status == 0, ran
    found: Dict[str, Any] = json.loads((store / name / "output" / "data" / EVALUATION).read_text())
    return {**found, "printed": ran.stdout}


def test_each_policy_has_a_folder_of_the_model(model: Path) -> None:
    files = {str(path.relative_to(model)) for path in model.rglob("*") if path.is_file()}
    own = {f"policies/{name}/{file}" for name in BOTH for file in ("policy.json", "policy.onnx", "1/saved_model.pb")}
    assert files == {"policy.json", "params.json", "checkpoint", "checkpoint.tune_metadata", *own}
    facts = json.loads((model / "policy.json").read_text())
    assert (facts["policies"], facts["policy_mapping"]) == (["near", "far"], {"near": "near", "far": "far"})
    assert (facts["algorithm"], facts["env"], facts["training"]["training_iteration"] > 0) == ("PPO", "Rally-v0", True)
    assert set(json.loads((model / "params.json").read_text())["multiagent"]["policies"]) == BOTH


def test_rewards_of_each_are_in_the_log_the_rows_the_report_and_there_is_a_video(two: Finished) -> None:
    live = two.directory / "output" / "intermediate"
    for row in metrics.read(live):
        rewards = [row[f"policy_reward_mean/{name}"] for name in BOTH]
        assert sum(rewards) == pytest.approx(row["episode_reward_mean"])
    report = (live / "report.html").read_text()
    for name in BOTH:
        assert f"policy_reward_mean/{name}: " in two.ran.stdout
        assert f'data-chart="policy_reward_mean/{name}"' in report
    (video, *_) = (live / "videos").glob("*.mp4")
    assert video.read_bytes()[4:8] == b"ftyp"
    assert two.ran.stdout.count("trained by RLlib's own sampler and optimizer: there are several policies") == 1


def test_an_evaluation_says_what_each_is_worth_and_both_together(two: Finished, store: Path) -> None:
    found = evaluate(store, "evaluated", "two", "--episodes", "4", "videos=1")
    (played,) = found["models"]
    assert set(played["policies"]) == BOTH
    assert sum(each["mean"] for each in played["policies"].values()) == pytest.approx(played["mean"])
    for episode in played["episodes"]:
        assert sum(episode["policies"].values()) == pytest.approx(episode["reward"])
    rows = [line.split() for line in found["printed"].splitlines()]
    assert [row[:3] for row in rows if row[:1] == ["policy"]] == [["policy", "near", "4"], ["policy", "far", "4"]]
    assert len(played["videos"]) == 1


@pytest.mark.parametrize("how", ["deterministic=true", "deterministic=false"])
def test_the_restored_agents_play_the_same_episodes(how: str, two: Finished, store: Path) -> None:
    words = ("two", how, "--episodes", "3", "videos=0")
    ours, theirs = (
        evaluate(store, f"{name}-{how[-4:]}", *words, *more)["models"][0]["episodes"]
        for name, more in (("exported", ()), ("restored", ("--restore",)))
    )
    assert ours == theirs


def test_a_job_goes_on_with_both_policies_and_what_each_has_adapted(two: Finished, store: Path) -> None:
    kept = next((two.directory / "checkpoints" / "checkpoint_4").glob("*.adaptive.npz"))
    with np.load(str(kept), allow_pickle=False) as adapted:
        assert {"kl_coeff_val/near", "kl_coeff_val/far"} <= set(adapted.files)
        assert len(json.loads(str(adapted["rewards_of_agents"]))) == len(adapted["last_episodes"]) > 0
    again = run(local("--resume", "two", "stop.training_iteration=5", "--store", str(store)))
    assert again.status == 0 and "going on from iteration 4" in again.stdout, again
    rows = metrics.read(store / "two" / "output" / "intermediate")
    assert [row["training_iteration"] for row in rows] == [1, 2, 3, 4, 5]
    assert rows[4]["episodes_total"] > rows[3]["episodes_total"]
    assert all(rows[4][f"policy_reward_mean/{name}"] is not None for name in BOTH)


def test_a_job_begins_with_the_weights_of_both(two: Finished, store: Path) -> None:
    job = train(store, "begun", "rally-two", "stop.training_iteration=1", *SHORT, "--from", "two")
    assert job.ran.status == 0, job.ran
    assert "beginning with the weights of the checkpoint that was given" in job.ran.stdout


def test_weights_of_other_policies_are_refused_by_name(two: Finished, store: Path) -> None:
    job = train(store, "other", "rally", "stop.training_iteration=1", *SHORT, "--from", "two")
    assert job.ran.status == 2
    assert "has no policy player, which this job trains" in job.ran.stdout


def test_one_policy_without_a_name_is_all_agents_and_its_model_is_as_ever(store: Path) -> None:
    shared = ("rally", "config.multiagent={}", "stop.training_iteration=1", *SHORT)
    job = train(store, "shared", *shared)
    assert job.ran.status == 0, job.ran
    unpacked = job.unpack("model.tar.gz", store / "unpacked")
    assert {path.name for path in unpacked.iterdir()} == {
        *("policy.json", "policy.onnx", "1", "params.json", "checkpoint", "checkpoint.tune_metadata"),
    }
    (played,) = evaluate(store, "shared-evaluated", "shared", "--episodes", "2", "videos=1")["models"]
    assert len(played["episodes"]) == 2 and len(played["videos"]) == 1


def test_the_example_gets_better_by_playing_against_itself(store: Path) -> None:
    job = train(store, "better", "rally", "stop.training_iteration=45", "seed=1")
    assert job.ran.status == 0, job.ran
    rows = metrics.read(job.directory / "output" / "intermediate")
    assert rows[0]["episode_reward_mean"] < 1 and rows[-1]["episode_reward_mean"] > 2
    assert rows[-1]["episode_len_mean"] > 3 * rows[0]["episode_len_mean"]


def test_hyperparameters_alone_say_policies_and_whose_they_are_also_to_workers(store: Path) -> None:
    words: List[str] = [
        'config.multiagent.policies={"a": {"gamma": 0.9}, "b": {}}',
        'config.multiagent.policy_mapping={"n*": "a", "*": "b"}',
        'config.multiagent.policies_to_train=["a"]',
        "config.num_workers=1",
    ]
    job = train(store, "said", "rally", *words, "stop.training_iteration=2", *SHORT)
    assert job.ran.status == 0, job.ran
    row = metrics.read(job.directory / "output" / "intermediate")[-1]
    assert "kl/a" in row and "kl/b" not in row
    assert {"policy_reward_mean/a", "policy_reward_mean/b"} <= set(row)


QUEUE = """
import numpy as np
from gym import spaces
from ray.rllib.env import MultiAgentEnv

SEEN = np.zeros(1, np.float32)

class Queue(MultiAgentEnv):
    observation_space, action_space = spaces.Box(-1, 1, (1,), np.float32), spaces.Discrete(2)

    def reset(self):
        self.number = 0
        return {0: SEEN}

    def step(self, actions):
        assert list(actions) == [self.number]
        self.number += 1
        here = (self.number - 1, self.number)
        dones = {self.number - 1: True, "__all__": self.number == 30}
        return dict.fromkeys(here, SEEN), dict.fromkeys(here, 1.0), dones, {}

ENVS = {"queue": lambda env_config: Queue()}
"""
OF_A_FUNCTION = """
def whose(agent):
    return "odd" if agent % 2 else "even"

few = {"num_workers": 0, "train_batch_size": 200, "rollout_fragment_length": 100, "sgd_minibatch_size": 64}
multiagent = {"policies": {"even": {}, "odd": {}}, "policy_mapping_fn": whose}
EXPERIMENTS = {"queue": {"run": "PPO", "env": "queue", "config": {**few, "num_sgd_iter": 1, "multiagent": multiagent}}}
"""


def test_a_model_knows_the_policies_of_agents_that_come_late(store: Path, tmp_path: Path) -> None:
    (tmp_path / "envs.py").write_text(QUEUE)
    (tmp_path / "experiments.py").write_text(OF_A_FUNCTION)
    job = run(
        local("queue", "stop.training_iteration=1", "--source", str(tmp_path), "--job", "q", "--store", str(store))
    )
    assert job.status == 0, job
    for more in ((), ("--restore",)):
        words = ("q", "--episodes", "1", *more, "--store", str(store))
        played = run([*local()[:-1], "evaluate", *words])
        assert played.status == 0, played


HEURISTIC = """
from envs import Queue
from ray.rllib.policy.policy import Policy

class Still(Policy):
    def compute_actions(self, obs_batch, *_, **__):
        return [0] * len(obs_batch), [], {}

    def get_weights(self):
        return {}

    def set_weights(self, weights):
        pass

few = {"num_workers": 0, "train_batch_size": 200, "rollout_fragment_length": 100, "sgd_minibatch_size": 64}
policies = {"odd": (Still, Queue.observation_space, Queue.action_space, {}), "even": {}}
whose = lambda agent: "odd" if agent % 2 else "even"
multiagent = {"policies": policies, "policy_mapping_fn": whose, "policies_to_train": ["even"]}
EXPERIMENTS = {"queue": {"run": "PPO", "env": "queue", "config": {**few, "num_sgd_iter": 1, "multiagent": multiagent}}}
"""


def test_a_heuristic_plays_along_where_no_model_is_wanted(store: Path, tmp_path: Path) -> None:
    (tmp_path / "envs.py").write_text(QUEUE)
    (tmp_path / "experiments.py").write_text(HEURISTIC)
    words = ("queue", "export=false", "--source", str(tmp_path), "--store", str(store))
    first = run(local(*words, "stop.training_iteration=1", "--job", "h"))
    assert first.status == 0, first
    again = run(local("--resume", "h", "stop.training_iteration=2", "--store", str(store)))
    assert again.status == 0 and "going on from iteration 1" in again.stdout, again


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (
            'config.multiagent.policy_mapping={"near": "player"}',
            "rl.training.config.multiagent.policy_mapping: nothing fits the agent far, of near",
        ),
        ('config.multiagent.policy_mapping={"*": "players"}', "no policy of this job; did you mean player?"),
    ],
)
def test_what_does_not_fit_is_refused_before_training(words: str, expected: str, store: Path) -> None:
    job = train(store, "refused", "rally", words)
    assert job.ran.status == 2
    said = (job.ran.stdout + job.ran.stderr).strip().splitlines()
    assert any(expected in line for line in said), said
    assert not any("iteration " in line for line in said)
