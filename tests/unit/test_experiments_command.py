"""`scripts/experiments`: what is known of each experiment."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from rl_app.experiments import EXPERIMENTS
from rl_app.machine import Machine
from scripts.commands import experiments
from tests.made_jobs import script


def test_all_are_listed(tmp_path: Path) -> None:
    status, printed, _ = script("experiments", cwd=tmp_path)
    assert status == 0
    assert [line.split()[0] for line in printed.splitlines()] == ["name", *EXPERIMENTS]
    assert "CartPole-v1" in printed and "reward 475" in printed and "SAC" in printed
    assert all(str(EXPERIMENTS[name].time_seen) in printed for name in EXPERIMENTS)


def test_the_guide_has_a_row_for_each_with_the_time_seen() -> None:
    guide = (Path(__file__).parents[2] / "docs" / "training.md").read_text(encoding="utf-8").splitlines()
    for name in EXPERIMENTS:
        (row,) = [line for line in guide if line.startswith(f"| `{name}` |")] or [
            f"docs/training.md has no row for the experiment {name}"
        ]
        assert row.endswith(f"| {EXPERIMENTS[name].time_seen or experiments.NOT_MEASURED} |")


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_each_says_what_it_is_and_what_differs(name: str) -> None:
    whole = experiments.describe(name, Machine(4, 0))
    assert whole["about"].endswith(".")
    assert re.match(r"\d+ s \(\d+ to \d+\), \d of \d seeds|\d+ min, 1 seed", whole["time_seen"])
    paths = [found["path"] for found in whole["differs"]]
    assert paths == sorted(paths)
    assert len(paths) == len(set(paths))
    for found in whole["differs"]:
        assert found["value"] != found["default"] or isinstance(found["value"], bool)


def test_one_is_shown_whole_with_the_defaults_that_it_changes(tmp_path: Path) -> None:
    status, printed, _ = script("experiments", "cartpole", cwd=tmp_path)
    assert status == 0
    assert "  config.model.fcnet_hiddens " in printed
    lines = [line.split() for line in printed.splitlines()]
    assert ["config.lr", "0.0015", "default", "5e-05"] in lines
    assert not any(line[:1] == ["config.observation_filter"] for line in lines), "it is the default's"
    status, printed, _ = script("experiments", "cartpole", "--json", cwd=tmp_path)
    whole = json.loads(printed)
    assert whole["goal"] == 475 and whole["config"]["lr"] == 0.0015
    assert {"path": "config.lr", "value": 0.0015, "default": 5e-05} in whole["differs"]


def test_an_unknown_one_is_refused_with_the_nearest(tmp_path: Path) -> None:
    status, printed, said = script("experiments", "cart-pole", cwd=tmp_path)
    assert (status, printed, len(said)) == (2, "", 1)
    assert "cart-pole: no such experiment; did you mean cartpole?" in said[0]
