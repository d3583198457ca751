"""Jobs that begin with the weights of an earlier one, in the channel that SageMaker brings them in."""

from __future__ import annotations

import json
import shutil
import tarfile
from pathlib import Path

import pytest

from rl_app.job import metrics
from tests.app.jobs import Ran, local, run

TRAINED = "beginning with the weights of the checkpoint that was given; all else is new"


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a job has left that is better than one that has not learnt."""
    store = tmp_path_factory.mktemp("earlier")
    ran = run(local("cartpole", "stop.episode_reward_mean=100", "seed=1", "--job", "first", "--store", str(store)))
    assert ran.status == 0, ran
    return store / "first"


def train(base: Path, **given: str) -> Ran:
    """The image's ``train``, over what SageMaker lays out."""
    config = base / "input/config"
    config.mkdir(parents=True, exist_ok=True)
    (config / "hyperparameters.json").write_text(json.dumps({"experiment": "cartpole", **given}))
    (config / "resourceconfig.json").write_text(json.dumps({"current_host": "localhost", "hosts": ["localhost"]}))
    return run([*local()[:3], "train"], SAGEMAKER_BASE_DIR=str(base))


def channel(base: Path) -> Path:
    directory = base / "input/data/checkpoint"
    directory.mkdir(parents=True)
    return directory


@pytest.mark.parametrize("kind", ["a model", "checkpoints"])
def test_it_begins_where_the_earlier_one_ended_and_counts_anew(kind: str, earlier: Path, tmp_path: Path) -> None:
    if kind == "a model":
        shutil.copy(earlier / "output/model.tar.gz", channel(tmp_path))
    else:
        shutil.copytree(earlier / "checkpoints", channel(tmp_path), dirs_exist_ok=True)
    ran = train(tmp_path, **{"rl.training.stop.training_iteration": "1"})
    assert ran.status == 0, ran
    assert any(line.endswith(TRAINED) for line in ran.stdout.splitlines()), ran
    (row,) = metrics.read(tmp_path / "output/data")
    assert (row["training_iteration"], row["timesteps_total"]) == (1, 8192)
    assert row["episodes_total"] < 80, "of an untrained policy 120 end in half as many steps"


@pytest.fixture(scope="module")
def without_model(earlier: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store of the earlier job, whose model is gone."""
    store = tmp_path_factory.mktemp("without-model")
    shutil.copytree(earlier, store / "first")
    (store / "first/output/model.tar.gz").unlink()
    return store


@pytest.mark.parametrize("place", ["first", "first/checkpoints", "first/checkpoints/checkpoint_*"])
def test_the_command_line_takes_checkpoints_where_there_is_no_model(place: str, without_model: Path) -> None:
    given = place if place == "first" else str(next(without_model.glob(place)))
    once = ("cartpole", "stop.training_iteration=1", "seed=1", "--store", str(without_model))
    ran = run(local(*once, "--from", given))
    assert ran.status == 0, ran
    assert any(line.endswith(TRAINED) for line in ran.stdout.splitlines()), ran


def test_the_checkpoint_of_another_algorithm_is_refused_before_anything_starts(earlier: Path, tmp_path: Path) -> None:
    shutil.copy(earlier / "output/model.tar.gz", channel(tmp_path))
    ran = train(tmp_path, **{"rl.training.run": "PG", "rl.training.config": "{}"})
    said = "channel checkpoint: is of PPO in CartPole-v1, and this job trains PG in CartPole-v1"
    assert (ran.status, ran.stdout.splitlines()[-1]) == (2, said), ran
    assert (tmp_path / "output/failure").read_text() == said


def test_weights_of_other_spaces_are_refused(earlier: Path, tmp_path: Path) -> None:
    shutil.copy(earlier / "output/model.tar.gz", channel(tmp_path))
    ran = train(tmp_path, **{"rl.training.env": "Acrobot-v1"})
    assert ran.status == 2, ran
    said = (tmp_path / "output/failure").read_text()
    assert "is of shape [4, " in said and "this job's of [6, " in said and "other spaces, or another network" in said


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"notes.txt": b"nothing"}, "neither model.tar.gz nor policy.json nor checkpoint is in it"),
        ({"checkpoint-3": b"\x80\x03}q\x00(", "checkpoint-3.tune_metadata": b""}, "no checkpoint of RLlib's"),
    ],
)
def test_what_is_no_checkpoint_is_refused(content: "dict[str, bytes]", said: str, tmp_path: Path) -> None:
    directory = channel(tmp_path)
    for name, written in content.items():
        (directory / name).write_bytes(written)
    ran = train(tmp_path)
    assert ran.status == 2 and said in (tmp_path / "output/failure").read_text(), ran


def test_an_archive_that_leads_out_of_its_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "checkpoint").write_bytes(b"")
    with tarfile.open(channel(tmp_path) / "model.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "checkpoint", "../checkpoint")
    ran = train(tmp_path)
    assert ran.status == 2 and "../checkpoint" in (tmp_path / "output/failure").read_text(), ran
