"""Channels of the user's own data: as they are asked for, staged, recorded and staged again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, Dict, List

import pytest

from rl_app.errors import UserError
from rl_app.evaluation.candidates import models_of
from rl_app.local import channels
from scripts.lib import engine
from tests.container import TRAIN
from tests.unit.test_artifacts import job as made_job
from tests.unit.test_local_evaluate import Lab as Evaluations
from tests.unit.test_local_job import Lab
from tests.unit.test_request import asked

SEE = """
put("output/data/seen.json", json.dumps({
    "files": sorted(str(path.relative_to(base / "input/data")) for path in (base / "input/data").rglob("*.json")),
    "config": json.loads((base / "input/config/inputdataconfig.json").read_text()),
}))
"""


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A directory with a file, and one with a file in it."""
    folder = tmp_path / "episodes"
    (folder / "part").mkdir(parents=True)
    (folder / "one.json").write_text("{}\n")
    (folder / "part" / "two.json").write_text("{}\n")
    return folder


def seen(lab: Lab, name: str = "job") -> Dict[str, Any]:
    found: Dict[str, Any] = json.loads(lab.members("output.tar.gz", name)["seen.json"] or b"")
    return found


def recorded(lab: Lab) -> Dict[str, str]:
    """The places of the job's channels, as job.json has them."""
    listed = lab.record()["InputDataConfig"]
    return {each["ChannelName"]: each["DataSource"]["S3DataSource"]["S3Uri"] for each in listed}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["data"], "--channel data: expected NAME=DIR or NAME=s3://BUCKET/PREFIX"),
        (["data="], "--channel data=: expected NAME=DIR"),
        (["my data=x"], "--channel my data=x: the name has 1 to 64 letters"),
        (["model=x"], "--channel model=x: the channel model is taken, by the model that is evaluated"),
        (["checkpoint=x"], "--channel checkpoint=x: the channel checkpoint is taken, by what --from names"),
        (["a=x", "a=y"], "--channel a=y: given twice, before as x"),
    ],
)
def test_words_that_name_no_channel_are_refused(words: List[str], said: str) -> None:
    with pytest.raises(UserError, match=said):
        channels.parse(words)


def test_channels_are_asked_for_by_flags_and_by_the_environment(data: Path) -> None:
    words = ["--channel", f"one={data}", "--channel", "two=s3://bucket/prefix"]
    request = asked("train", *words)
    assert request.channels == {"one": str(data), "two": "s3://bucket/prefix"}
    assert request.to_words() == words
    assert request.to_words(engine.mounted)[:2] == ["--channel", "one=/mnt/episodes"]
    assert request.mounts() == [str(data)]
    assert asked("train", environ={"CHANNELS": "two=s3://bucket/prefix"}).channels == {"two": "s3://bucket/prefix"}


def test_a_channel_is_staged_as_sagemaker_does_and_recorded(lab: Lab, data: Path) -> None:
    assert lab.run(TRAIN + SEE, "--channel", f"data={data}", "--job", "job") == 0
    assert seen(lab) == {
        "files": ["data/one.json", "data/part/two.json"],
        "config": {"data": {"TrainingInputMode": "File"}},
    }
    assert recorded(lab) == {"data": str(data)}
    assert (data / "one.json").exists()


def test_a_job_that_goes_on_has_the_same_channels_again(
    lab: Lab, data: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert lab.run(TRAIN + "sys.exit(1)", "--channel", f"data={data}", "--job", "job") == 1
    assert lab.run(TRAIN + SEE, "--resume", "job") == 0
    assert seen(lab)["files"] == ["data/one.json", "data/part/two.json"] and recorded(lab) == {"data": str(data)}
    lab.edit(TrainingJobStatus="Failed")
    moved = tmp_path / "moved"
    shutil.move(str(data), str(moved))
    assert lab.run(TRAIN, "--resume", "job") == 2
    line = f"--resume job: its channel data was {data}, which is not here: --channel data=DIR gives it"
    assert capfd.readouterr().err.splitlines()[-1] == line
    assert lab.run(TRAIN + SEE, "--resume", "job", "--channel", f"data={moved}") == 0
    assert recorded(lab) == {"data": str(moved)}


def test_a_failed_job_is_gone_on_with_by_a_command_that_has_its_channels(
    lab: Lab, data: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert lab.run(TRAIN + "sys.exit(1)", "--channel", f"data={data}", "--job", "job") == 1
    assert (
        f"scripts/train --resume job --engine process --store {lab.store} --channel data={data}"
        in capfd.readouterr().err
    )


@pytest.mark.parametrize(
    ("place", "said"),
    [("nowhere", "there is no such directory"), ("empty", "there are no files in it"), ("http://x/y", "must be a")],
)
def test_a_place_without_data_is_refused_before_anything_is_made(
    lab: Lab, tmp_path: Path, place: str, said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    place = place if "://" in place else str(tmp_path / place)
    assert lab.run(TRAIN, "--channel", f"data={place}", "--job", "job") == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith(f"--channel data={place}: {said}") and not lab.store.exists()


def test_what_a_link_leads_to_is_data_too(lab: Lab, data: Path, tmp_path: Path) -> None:
    (tmp_path / "large").mkdir()
    (tmp_path / "large" / "three.json").write_text("{}\n")
    (data / "links").symlink_to(tmp_path / "large")
    (data / "four.json").symlink_to(tmp_path / "large" / "three.json")
    assert lab.run(SEE, "--channel", f"data={data}", "--job", "job") == 0
    assert seen(lab)["files"] == ["data/four.json", "data/links/three.json", "data/one.json", "data/part/two.json"]


@pytest.mark.parametrize(
    ("target", "said"),
    [("none.json", "a link to none.json, which is not there where the job runs"), (".", "a link to a folder that it")],
)
def test_a_link_that_leads_to_no_data_is_refused(
    lab: Lab, data: Path, target: str, said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    (data / "link").symlink_to(target)
    assert lab.run(TRAIN, "--channel", f"data={data}", "--job", "job") == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith(f"{data / 'link'}: {said}") and not lab.store.exists()


def test_an_evaluation_has_data_beside_its_one_model(
    data: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    lab = Evaluations(tmp_path)
    for name in ("first", "second"):
        made_job(lab.store, name)
    given = ["--channel", f"data={data}"]
    assert lab.run("first", *given, "--job", "how-good") == 0
    assert list(lab.given("inputdataconfig")) == ["model", "data"]
    assert (lab.seen / "data" / "data" / "one.json").exists()
    assert lab.run("first", "second", *given, "--job", "both") == 2
    assert f"--channel data={data}: goes with one model" in capfd.readouterr().err
    both = {name: tmp_path / name for name in ("model", "data")}
    assert models_of(both) == {"model": tmp_path / "model"}


def test_directories_of_one_name_are_not_mounted_over_each_other(data: Path, tmp_path: Path) -> None:
    other = tmp_path / "other" / "episodes"
    engine.check_mounts([str(data), str(data)])
    with pytest.raises(UserError, match=f"{data} and {other}: have one name, episodes"):
        engine.check_mounts([str(data), str(other)])


def test_a_path_that_docker_takes_for_two_is_refused(tmp_path: Path) -> None:
    (tmp_path / "at-12:30").mkdir()
    (tmp_path / "link").symlink_to("at-12:30")
    with pytest.raises(UserError, match=f"^{tmp_path}/link: has a colon"):
        engine.check_mounts([f"{tmp_path}/link"])
