"""What is said of AWS's launcher, where a program brings it along."""

from __future__ import annotations

from pathlib import Path
from typing import List

import pytest

from rl_app.training import launcher


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / launcher.HYPERPARAMETERS).parent.mkdir()
    (tmp_path / launcher.HYPERPARAMETERS).write_text("")
    return tmp_path


def said(source: Path, **hyperparameters: str) -> List[str]:
    return list(launcher.notes(source, {f"rl.training.{key}": value for key, value in hyperparameters.items()}))


def test_a_number_that_becomes_its_whole_part_is_said_with_what_to_give_instead(source: Path) -> None:
    assert said(source, lr="0.001") == [
        "WARNING: rl.training.lr = 0.001 becomes 0: sagemaker_rl/configuration_list.py takes the whole part of a "
        'number; the string "0.001" in its place, as SageMaker\'s SDK sends it, stays 0.001'
    ]
    (line,) = said(source, gamma="-1.7")
    assert "rl.training.gamma = -1.7 becomes -1" in line


def test_a_null_is_said_to_end_the_program(source: Path) -> None:
    (line,) = said(source, seed="null")
    assert line.startswith("WARNING: rl.training.seed = null ends the program")


@pytest.mark.parametrize("kept", ["1", "1e6", '"0.001"', "true", "[0.5]", '{"lr": 0.5}', "NaN", "Infinity", "PPO"])
def test_what_it_reads_rightly_is_not_said(source: Path, kept: str) -> None:
    assert said(source, value=kept) == []


def test_of_other_hyperparameters_and_other_programs_nothing_is_said(source: Path, tmp_path: Path) -> None:
    assert list(launcher.notes(source, {"lr": "0.001"})) == []
    assert said(tmp_path / "elsewhere", lr="0.001") == []
    assert list(launcher.notes(None, {"rl.training.lr": "0.001"})) == []
