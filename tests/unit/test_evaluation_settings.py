"""What an evaluation's hyperparameters become, and every way in which they are refused."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Dict

import pytest

from rl_app.errors import UserError
from rl_app.job.hyperparameters import is_evaluation, parse_evaluation
from rl_app.job.settings import Evaluation

ROOT = Path(__file__).parents[2]


def test_strings_become_typed_settings() -> None:
    raw = {
        "command": "evaluate",
        "evaluate_episodes": "25",
        "seed": "7.0",
        "deterministic": "False",
        "restore": "true",
        "algorithm": '"PPO"',
        "env": "CartPole-v1",
        "env_config": '{"size": 5}',
        "max_steps": "null",
        "sagemaker_region": "us-east-1",
    }
    assert parse_evaluation(raw) == Evaluation(
        evaluate_episodes=25,
        seed=7,
        deterministic=False,
        restore=True,
        algorithm="PPO",
        env="CartPole-v1",
        env_config={"size": 5},
    )
    assert parse_evaluation({}) == Evaluation()


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ({"evaluate_episodes": "0"}, "evaluate_episodes = 0: must be 1 or more"),
        ({"evaluate_episodes": "many"}, 'evaluate_episodes = "many": expected an integer'),
        ({"evaluate_episodes": "1.5"}, "evaluate_episodes = 1.5: expected an integer"),
        ({"evaluate_episodes": "None"}, "evaluate_episodes = null: expected an integer"),
        ({"evaluate_episode": "3"}, "evaluate_episode = 3: unknown; did you mean evaluate_episodes? known are "),
        ({"seed": "-1"}, "seed = -1: must be 0 to 4294967295"),
        ({"seed": "true"}, "seed = true: expected an integer"),
        ({"deterministic": "1"}, "deterministic = 1: expected true or false"),
        ({"restore": "maybe"}, 'restore = "maybe": expected true or false'),
        ({"algorithm": "QMIX"}, 'algorithm = "QMIX": must be one of PPO'),
        ({"env": "3"}, "env = 3: expected a string or null"),
        ({"env_config": "[1]"}, "env_config = [1]: expected an object as JSON or null"),
        ({"env_config": "{"}, 'env_config = "{": no JSON'),
        ({"max_steps": "0"}, "max_steps = 0: must be 1 or more"),
        ({"videos": "-1"}, "videos = -1: must be 0 or more"),
        ({"rl.training.config.lr": "0.1"}, "rl.training.config.lr = 0.1: an evaluation trains nothing; known are "),
        ({"experiment": "cartpole"}, 'experiment = "cartpole": an evaluation trains nothing; known are '),
    ],
    ids=str,
)
def test_what_is_wrong_is_refused_in_one_line(raw: Dict[str, str], expected: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_evaluation(raw)
    assert str(caught.value).startswith(expected)
    assert "\n" not in str(caught.value)


def test_a_job_evaluates_when_its_command_says_so() -> None:
    assert is_evaluation({"command": "evaluate"}) and is_evaluation({"command": '"evaluate"'})
    assert not is_evaluation({}) and not is_evaluation({"command": "train"})
    assert not is_evaluation({"command": "evaluate", "sagemaker_program": "mine.py"})


def test_the_guide_has_a_row_for_every_setting() -> None:
    guide = (ROOT / "docs" / "evaluating.md").read_text(encoding="utf-8")
    for field in fields(Evaluation):
        assert f"| `{field.name}` | {field.metadata['help']}" in guide
