"""Several agents in a job's hyperparameters: the policies, whose they are, and every way in which they are refused."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any, Dict

import numpy as np
import pytest
from gym import spaces

from rl_app import plain
from rl_app.errors import UserError
from rl_app.job import agents, learning, metric_definitions, metrics
from rl_app.job.hyperparameters import assignments, parse
from rl_app.local import request
from rl_app.local.request import JobRequest
from rl_app.machine import Machine
from rl_app.policy.policies import Playing
from rl_app.reports import curves
from scripts.lib.curves import band

RALLY = Path(__file__).parents[2] / "examples" / "rally"
BOX, THREE = spaces.Dict({"at": spaces.Box(-1, 1, (2,), np.float32)}), spaces.Discrete(3)
TWO = 'config.multiagent.policies={"hunters": {}, "prey": {"lr": 0.001}}'


def config(*words: str, **multiagent: Any) -> Dict[str, Any]:
    experiment = {"run": "PPO", "env": "chase", "config": {"multiagent": multiagent}}
    found: Dict[str, Any] = parse(assignments(["experiment=chase", *words]), Machine(2, 0), {"chase": experiment}).trial
    return found["config"]


def refusal(*words: str, **multiagent: Any) -> str:
    with pytest.raises(UserError) as caught:
        config(*words, **multiagent)
    text = str(caught.value)
    assert "\n" not in text
    return text.replace("rl.training.config.multiagent.", "")


def test_policies_and_whose_they_are_can_be_said_by_hyperparameters() -> None:
    found = config(
        TWO,
        'config.multiagent.policy_mapping={"hunter_*": "hunters", "*": "prey"}',
        'config.multiagent.policies_to_train=["prey"]',
        "config.multiagent.policies.hunters.gamma=0.9",
    )["multiagent"]
    assert found["policies"] == {"hunters": {"gamma": 0.9}, "prey": {"lr": 0.001}}
    assert found["policies_to_train"] == ["prey"]
    assert {name: agents.policy_of(name, found["policy_mapping"]) for name in ("hunter_2", "rabbit", 7)} == {
        "hunter_2": "hunters",
        "rabbit": "prey",
        7: "prey",
    }


def test_of_patterns_the_longest_that_fits_counts_and_a_whole_name_before_all() -> None:
    table = {"*": "a", "car_*": "b", "car_1*": "c", "car_1": "d"}
    assert [agents.policy_of(name, table) for name in ("bus", "car_2", "car_12", "car_1")] == ["a", "b", "c", "d"]
    assert agents.policy_of("bus", {"car_*": "b"}) is None


def test_without_a_word_one_policy_is_everybodys_and_each_of_several_that_of_its_own_name() -> None:
    assert agents.table(config(policies={"all": {}})["multiagent"]) == {"*": "all"}
    assert agents.table(config(TWO)["multiagent"]) == {"hunters": "hunters", "prey": "prey"}
    assert agents.table(config(policies={"a": {}, "b": {}}, policy_mapping_fn=len)["multiagent"]) is None
    assert agents.table(config(policies={"a": {}}, policy_mapping_fn=len)["multiagent"]) == {"*": "a"}


def test_an_experiment_may_hold_rllibs_four_values_and_a_function() -> None:
    given = {"a": (None, BOX, THREE, {"gamma": 0.5}), "b": (None, None, None, {})}
    found = config(policies=given, policy_mapping_fn=len)["multiagent"]
    assert found["policies"]["a"][1] is not None and found["policies"]["a"][1]["at"] == BOX["at"]
    assert isinstance(found["policies"]["a"][1], spaces.Dict)
    kept = agents.written(found, {"x": "a"})
    assert plain.data(kept) == {
        "policies": {"a": {"gamma": 0.5}, "b": {}},
        "policy_mapping": {"x": "a"},
        "policies_to_train": None,
    }


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (
            [TWO, 'config.multiagent.policy_mapping={"x": "preys"}'],
            'policy_mapping.x = "preys": no policy of this job; did you mean prey? there are hunters, prey',
        ),
        (
            [TWO, 'config.multiagent.policies_to_train=["fox"]'],
            'policies_to_train = "fox": no policy of this job; there are hunters, prey',
        ),
        ([TWO, "config.multiagent.policies_to_train=prey"], 'policies_to_train = "prey": expected a list of policies'),
        ([TWO, "config.multiagent.policy_mapping=prey"], 'policy_mapping = "prey": expected an object of policies by'),
        (
            [TWO, "config.multiagent.policy_mapping_fn=len"],
            'policy_mapping_fn = "len": Python code, which an experiment can hold and a hyperparameter cannot; '
            "policy_mapping says the same of agents by name",
        ),
        (
            ['config.multiagent.policy_mapping={"x": "a"}'],
            'policy_mapping = {"x": "a"}: nothing to choose from: policies names the policies',
        ),
        ([TWO, "config.multiagent.policy_map=x"], 'policy_map = "x": unknown; did you mean policy_mapping?'),
        (['config.multiagent.policies=["a", "b"]'], 'policies = ["a", "b"]: expected an object as JSON'),
        (['config.multiagent.policies={"a/b": {}}'], "policies.a/b = {}: the name must be of letters, digits"),
        (['config.multiagent.policies={"default_policy": {}}'], "and not be default_policy"),
        (['config.multiagent.policies={"a": 3}'], "policies.a = 3: expected an object of its settings"),
        (['config.multiagent.policies={"a": {"gama": 1}}'], "policies.a.gama = 1: unknown; did you mean"),
        (['config.multiagent.policies={"a": {"gamma": "x"}}'], 'policies.a.gamma = "x": expected a number'),
        (['config.multiagent.policies={"a": {"gamma": 2}}'], "policies.a.gamma = 2: must be 0 to 1"),
        (
            ['config.multiagent.policies={"a": {"num_workers": 1}}'],
            "policies.a.num_workers = 1: is the same for all policies: rl.training.config.num_workers",
        ),
    ],
)
def test_what_is_impossible_is_refused_with_what_is_possible(words: Any, expected: str) -> None:
    assert expected in refusal(*words)


def test_a_function_and_a_table_are_one_too_many() -> None:
    both = refusal(policies={"a": {}}, policy_mapping_fn=len, policy_mapping={"*": "a"})
    assert "the experiment's policy_mapping_fn says it already" in both


# ---- the numbers of each


RESULT = {
    "config": {"multiagent": {"policies": {"a": {}, "b": {}}}},
    "policy_reward_mean": {"a": 1.5, "b": -0.5},
    "policy_reward_min": {"a": 1.0, "b": -1.0},
    "policy_reward_max": {"a": 2.0, "b": 0.0},
    "info": {"learner": {"a": {"learner_stats": {"kl": 0.25}}, "b": {"kl": 0.5}}},
    "training_iteration": 1,
    "time_this_iter_s": 1.0,
    "time_total_s": 1.0,
    "timesteps_this_iter": 8,
    "timesteps_total": 8,
    "episode_reward_mean": 1.0,
    "episode_len_mean": 4.0,
}


def test_each_policy_has_its_columns_curves_and_words_in_the_log() -> None:
    row = metrics.row(RESULT)
    assert {key: value for key, value in row.items() if key.endswith("/a")} == {
        "policy_reward_mean/a": 1.5,
        "policy_reward_min/a": 1.0,
        "policy_reward_max/a": 2.0,
        "kl/a": 0.25,
    }
    assert row["kl/b"] == 0.5 and "kl" not in row
    assert [chart.title for chart in curves.charts([row])] == [
        "reward of a",
        "reward of b",
        "episode length",
        "KL divergence of a",
        "KL divergence of b",
    ]
    assert curves.columns([row])["policy_reward_mean/b"] == [-0.5]
    log = io.StringIO()
    learning.say(row, log)
    said = "policy_reward_mean/a: 1.5  kl/a: 0.25  policy_reward_mean/b: -0.5  kl/b: 0.5"
    assert log.getvalue() == f"learning  episode_len_mean: 4  {said}\n"
    assert band("policy_reward_mean/a") == ("policy_reward_mean/a", "policy_reward_min/a", "policy_reward_max/a")


def test_sagemaker_is_told_of_the_reward_of_each_policy_as_far_as_there_is_room() -> None:
    asked = JobRequest("train", hyperparameters={"experiment": "rally-two"}, source=str(RALLY))
    assert request.policies(asked) == ["near", "far"]
    made = {each["Name"]: each["Regex"] for each in metric_definitions.definitions(request.policies(asked))}
    found = re.search(
        made["policy_reward_mean/far"], "learning  policy_reward_mean/near: 2  policy_reward_mean/far: -1.5"
    )
    assert found is not None and found.group(1) == "-1.5"
    assert len(metric_definitions.definitions([f"p{number}" for number in range(99)])) == 40


def test_an_agent_that_no_training_has_seen_is_told_with_what_would_know_it() -> None:
    with pytest.raises(UserError, match=r"no policy for the agent 7; it knows 0; .*a table of patterns, knows"):
        Playing({"0": "a"}, lambda _: pytest.fail("nobody plays")).policy_of(7)
