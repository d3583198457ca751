"""A policy that answers what is no number is not served; and what is said once is said once, whoever says it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import List

import numpy as np
import pytest
from gym import spaces

from rl_app.envs.contract import notices
from rl_app.envs.contract.fitting import misfit, suggested
from rl_app.policy.soundness import never_changed
from tests.app.jobs import REPOSITORY, run
from tests.app.made_models import write_model

TORQUES = spaces.Box(-1.0, 1.0, (2,), np.float32)


def test_a_policy_whose_actions_are_no_numbers_does_not_start_to_serve(tmp_path: Path) -> None:
    beyond = {"mean": [3e38] * 4, "std": [0.0] * 4}
    model = write_model(tmp_path / "model", actions=TORQUES, observation_filter=beyond)
    ran = run([sys.executable, "-m", "rl_app", "serve", str(model), "--port", "0"])
    assert ran.status == 1, ran
    assert "the policy's actions_0 is no finite number for an observation: its training diverged" in ran.stderr


SAYS = """
from rl_app.envs.contract.notices import say_once
say_once('it', 'by another')
say_once('else', 'something else')
"""


def test_what_several_processes_say_is_told_once() -> None:
    told: List[str] = []
    with notices.opened() as said:
        notices.say_once("it", "by this process")
        notices.say_once("it", "again")
        for _ in range(2):
            subprocess.run([sys.executable, "-c", SAYS], cwd=REPOSITORY, check=True)
            said.tell(told.append)
    assert told == ["by this process", "something else"]


def test_without_anybody_to_read_it_stands_on_standard_error() -> None:
    ran = run([sys.executable, "-c", SAYS])
    assert ran.stderr == "by another\nsomething else\n"


def test_features_that_never_changed_are_named_by_their_index() -> None:
    assert never_changed([0.0, 0.5], [1.0, 1.0], None) is None
    assert never_changed([0.0, 0.5], [1.0, 0.0], 10.0) is None
    assert "1 of 2 features never changed in training (1)" in str(never_changed([0.0, 0.5], [1.0, 1e-17], None))


@pytest.mark.parametrize(
    "shape", [(4, 5, 5), (1, 1, 1), (84, 84, 4), (100, 30, 3), (240, 256, 1), (11, 11, 1), (12, 3, 2)]
)
def test_the_filters_that_are_suggested_fit(shape: List[int]) -> None:
    assert misfit(shape, suggested(shape)) is None


@pytest.mark.parametrize(
    "filters", [[[16, [4, 4], 2]], [[16, [4, 4], 2], [16, [4, 4], 2]], [[0, [1, 1], 1]] * 2, [[16, "4", 2]] * 2]
)
def test_filters_that_do_not_fit_are_told(filters: object) -> None:
    assert misfit((4, 5, 5), filters)
