"""What RLlib says of the learning, in whichever way its optimizers wrap it."""

from __future__ import annotations

import io
import json
from typing import Any, Dict

import numpy as np
import pytest

from rl_app.job import learning

STATS = {"entropy": np.float32(0.5), "kl": 0.25, "model": {}, "cur_lr": float("nan")}
FOUND = {"entropy": 0.5, "kl": 0.25}


@pytest.mark.parametrize(
    "wrapped",
    [
        STATS,
        {"default_policy": STATS},
        {"learner_stats": STATS},
        {"default_policy": {"learner_stats": STATS, "td_error": np.zeros(0)}},
    ],
)
def test_statistics_are_found_in_every_wrapping(wrapped: Dict[str, Any]) -> None:
    found = learning.columns({"info": {"learner": wrapped}})
    assert found == FOUND
    assert json.loads(json.dumps(found)) == FOUND


@pytest.mark.parametrize("info", [{}, {"learner": {}}, {"learner": None}, {"learner": {"a": STATS, "b": STATS}}])
def test_without_any_there_is_no_column(info: Dict[str, Any]) -> None:
    assert learning.columns({"info": info}) == {}


def test_evaluations_and_a_users_own_metrics_are_columns() -> None:
    evaluation = {"episode_reward_mean": 9.0, "episode_reward_min": 8.0, "episode_reward_max": float("nan")}
    custom = {"angle_mean": np.float64(0.5), "angle_min": 0.1, "angle_max": 0.9}
    assert learning.columns({"evaluation": evaluation, "custom_metrics": custom}) == {
        "evaluation_reward_mean": 9.0,
        "evaluation_reward_min": 8.0,
        "custom_metrics/angle_mean": 0.5,
    }


def test_the_line_is_for_logs(capsys: pytest.CaptureFixture[str]) -> None:
    """And a person at a terminal sees the iteration's alone."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal, log = Terminal(), io.StringIO()
    for stream in (terminal, log):
        learning.say({"kl": 0.25}, stream)
    assert (terminal.getvalue(), log.getvalue()) == ("", "learning  kl: 0.25\n")
    assert capsys.readouterr().out == "learning  kl: 0.25\n" * 2
