"""The page of an evaluation: what is drawn and in which order; how it looks is looked at in a browser."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Dict, List, Sequence

import pytest

from rl_app.reports import evaluation, statistics


def model(name: str, rewards: Sequence[float], videos: Sequence[str] = ()) -> Dict[str, Any]:
    return {
        "model": name,
        "played_by": "onnxruntime",
        **statistics.summary(rewards),
        "episodes": [{"seed": i, "reward": each, "length": 7, "cut": False} for i, each in enumerate(rewards)],
        "videos": [{"file": file, "episode": 1, "reward": rewards[0]} for file in videos],
        "policy": {"algorithm": "PPO", "env": "Made-v0"},
    }


def page(directory: Path, *models: Dict[str, Any]) -> str:
    rewards = [[episode["reward"] for episode in each["episodes"]] for each in models]
    differences = [
        {"model": each["model"], "against": models[0]["model"], **statistics.difference(rewards[0], theirs)}
        for each, theirs in zip(models[1:], rewards[1:])
    ]
    about = {"job": "how-good", "state": "Completed", "started": 0.0, "time_s": 1.0, "settings": {"seed": 0}}
    env = {"name": "Made-v0", "env_config": {}}
    found = {**about, "env": env, "models": models, "differences": differences, "versions": {}, "machine": {}}
    return evaluation.render(found, directory)


def heights(html: str) -> List[float]:
    return [float(y) for y in re.findall(r'class="dot" cx="[\d.]+" cy="([-\d.]+)"', html)]


def test_models_are_drawn_on_one_scale(tmp_path: Path) -> None:
    drawn = heights(page(tmp_path, model("good", [10.0, 50.0]), model("worse", [10.0, 20.0])))
    assert drawn[0] == drawn[2] > drawn[3] > drawn[1]


@pytest.mark.parametrize("rewards", [[0.0, 100.0], [5.0, 5.0, 5.0], [3.0], [-1.0, -2.0, 8.0]])
def test_all_that_is_drawn_is_inside(rewards: List[float], tmp_path: Path) -> None:
    html = page(tmp_path, model("one", rewards))
    bands = re.findall(r'class="deviation" x="0" width="\d+" y="([-\d.]+)" height="([-\d.]+)"', html)
    assert len(bands) == (len(rewards) > 1)
    edges = [float(y) for y, _ in bands] + [float(y) + float(height) for y, height in bands]
    assert all(0 <= y <= evaluation.HEIGHT for y in [*heights(html), *edges])


def test_a_comparison_begins_with_each_model_and_the_difference(tmp_path: Path) -> None:
    html = page(tmp_path, model("good", [10.0, 50.0, 30.0]), model("worse", [9.0, 49.0, 29.0]))
    tiles = html[html.index("class=tiles") if "class=tiles" in html else html.index('class="tiles"') :]
    names = re.findall(r"<dt>(.*?)</dt><dd>(.*?)<small>", tiles)[:3]
    assert names == [("good", "30"), ("worse", "29"), ("worse - good", "-1")]


def test_videos_come_before_the_episodes_and_many_episodes_are_folded(tmp_path: Path) -> None:
    (tmp_path / "one.mp4").write_bytes(b"mp4")
    html = page(tmp_path, model("one", [float(i) for i in range(300)], ["one.mp4"]))
    assert html.index("<h2>Videos") < html.index("<h2>Episodes of one")
    assert "<summary>all 300 episodes</summary>" in html
    assert "and 100 more, in evaluation.json" in html
    assert "<summary>" not in page(tmp_path, model("one", [1.0] * 10))


def test_of_very_many_episodes_only_some_are_dots(tmp_path: Path) -> None:
    many = heights(page(tmp_path, model("one", [float(i % 7) for i in range(100_000)])))
    assert 500 <= len(many) <= evaluation.MOST_DOTS
