"""What a trial learns from besides its own episodes: named, found, refused before anything starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, Mapping

import pytest

from rl_app.errors import UserError
from rl_app.job import offline
from rl_app.job.hyperparameters import parse
from rl_app.job.metrics import History
from rl_app.local import request
from tests.container import TRAIN
from tests.unit.test_local_job import Lab
from tests.unit.test_request import asked


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "ml" / "data"
    folder.mkdir(parents=True)
    for name in ("two.json", "one.json", "notes.txt"):
        (folder / name).touch()
    return folder


def config_of(given: Mapping[str, str], channels: Mapping[str, Path]) -> Dict[str, Any]:
    """The config of a job as its trainer gets it."""
    job = offline.placed(parse(given, None), channels, Path("/opt/ml/output/data"))
    config: Dict[str, Any] = job.trial["config"]
    return config


INPUT, OUTPUT = "rl.training.config.input", "rl.training.config.output"


def test_a_channel_is_named_and_its_folder_is_read(data: Path) -> None:
    channels = {"data": data}
    assert config_of({INPUT: "data"}, channels)["input"] == str(data)
    mixed = config_of({INPUT: '{"data": 0.25, "sampler": 0.75}'}, channels)
    assert mixed["input"] == {str(data): 0.25, "sampler": 0.75}
    listed = config_of({INPUT: '["data", "/else/where.json"]'}, channels)
    assert listed["input"] == [str(data / "one.json"), str(data / "two.json"), "/else/where.json"]
    assert config_of({INPUT: "/else/*.json"}, channels)["input"] == "/else/*.json"


@pytest.mark.parametrize(
    ("given", "place"),
    [("true", "/opt/ml/output/data/experiences"), ("logdir", "logdir"), ("/else", "/else"), ("false", None)],
)
def test_episodes_are_written_into_the_output_or_where_it_is_said(given: str, place: Any) -> None:
    assert config_of({OUTPUT: given}, {}).get("output") == place


def test_an_evaluation_plays_and_leaves_nothing_unless_that_is_asked_for(data: Path) -> None:
    assert config_of({OUTPUT: "true"}, {})["evaluation_config"] == {"input": "sampler", "output": None}
    own = {INPUT: "data", "rl.training.config.evaluation_config": '{"explore": false, "output": "/else"}'}
    found = config_of(own, {"data": data})["evaluation_config"]
    assert found == {"input": "sampler", "output": "/else", "explore": False}
    assert "evaluation_config" not in config_of({}, {"data": data})


def test_estimates_are_made_where_they_are_asked_for(data: Path) -> None:
    assert config_of({INPUT: "data"}, {"data": data})["input_evaluation"] == []
    asked_for = {INPUT: "data", "rl.training.config.input_evaluation": '["is"]'}
    with pytest.raises(UserError, match=r"input_evaluation = .*: data/one.json has no action_prob"):
        config_of(asked_for, {"data": data})
    (data / "one.json").write_text('{"action_prob": [0.5]}')
    assert config_of(asked_for, {"data": data})["input_evaluation"] == ["is"]
    several = {**asked_for, "rl.training.config.multiagent.policies": '{"a": {}, "b": {}}'}
    with pytest.raises(UserError, match=r"input_evaluation = .*: RLlib estimates what one policy is worth"):
        config_of(several, {"data": data})


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("input", "dat", "no channel dat in this job: it has data; --channel dat=… gives one"),
        ("input", '{"data": 0.5, "sampler": 0.6}', "the shares must be numbers that sum to 1"),
        ("input", '{"data": true}', "the shares must be numbers that sum to 1"),
        ("output", "3", "expected true, which is output/data/experiences, or a directory"),
    ],
)
def test_what_cannot_be_read_or_written_is_refused_where_it_is_typed(
    key: str, value: str, said: str, data: Path
) -> None:
    with pytest.raises(UserError, match=f"rl.training.config.{key} = .*: {said}"):
        request.check(asked("train", f"config.{key}={value}", "--channel", f"data={data}"))


def test_a_channel_without_episodes_is_refused_before_anything_is_made(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    lab, folder = Lab(tmp_path), tmp_path / "data"
    folder.mkdir()
    (folder / "table.csv").touch()
    words = ["cartpole", "config.input=data", "--channel", f"data={folder}", "--job", "job"]
    assert lab.run(TRAIN, *words) == 2
    said = 'rl.training.config.input = "data": no *.json in channel data: RLlib reads episodes from such files'
    assert capfd.readouterr().err.splitlines() == [said] and not lab.store.exists()
    (folder / "one.json").touch()
    assert lab.run(TRAIN, *words) == 0


def test_the_best_of_what_plays_in_evaluations_alone_is_the_best_there(tmp_path: Path) -> None:
    history = History([tmp_path])
    for iteration, reward in enumerate((None, 20.0), 1):
        row = {"training_iteration": iteration, "episode_reward_mean": None, "evaluation_reward_mean": reward}
        history.add(row)
    assert [history.reward_of(iteration) for iteration in (1, 2)] == [float("-inf"), 20.0]
