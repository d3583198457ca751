"""A local job around small programs that play the container's evaluation, with a directory for a store."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Dict, List

import pytest

from rl_app.local.job import main as run_local
from rl_app.storage.directory import DirectoryStore
from tests.container import container
from tests.made_jobs import archive
from tests.unit.test_artifacts import MODEL, job

EVALUATE = """
found = {"models": [{"mean": 12.5, "max": 20}]}
put("output/data/evaluation.json", json.dumps(found)); put("output/data/report.html")
"""
# What the container saw, kept beside the store.
LOOK = """
shutil = __import__("shutil"); shutil.copytree(base / "input", {seen!r})
"""


class Lab:
    def __init__(self, root: Path) -> None:
        self.store = DirectoryStore(root / "runs")
        self.seen = root / "seen"
        self.environ: Dict[str, str] = {"PATH": os.environ["PATH"], "STORE": str(self.store.root)}

    def run(self, *argv: str, code: str = "", **environ: str) -> int:
        code = EVALUATE + LOOK.format(seen=str(self.seen)) + code
        return run_local(["evaluate", *argv], container(code), {**self.environ, **environ}, grace=5.0)

    def given(self, name: str) -> Dict[str, Any]:
        found: Dict[str, Any] = json.loads((self.seen / "config" / f"{name}.json").read_text())
        return found

    def record(self, name: str) -> Dict[str, Any]:
        found: Dict[str, Any] = json.loads(self.store.read(f"{name}/job.json"))
        return found


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    made = Lab(tmp_path)
    job(made.store, "first")
    return made


def test_its_report_is_unpacked_and_named_first(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    assert lab.run("first", "--job", "how-good") == 0
    report = lab.store.root / "how-good/output/data/report.html"
    assert report.exists()
    last = capsys.readouterr().err.splitlines()
    ended = next(number for number, line in enumerate(last) if "Completed after" in line)
    assert last[ended + 1] == f"  report {report}"


def test_an_evaluation_is_a_job_with_its_model_in_a_channel(lab: Lab) -> None:
    assert lab.run("first", "deterministic=false", "--episodes", "5", "--seed", "3", "--job", "how-good") == 0
    asked = {"command": "evaluate", "evaluate_episodes": "5", "seed": "3", "deterministic": "false"}
    assert asked.items() <= lab.given("hyperparameters").items()
    assert list(lab.given("inputdataconfig")) == ["model"]
    assert (lab.seen / "data/model/model.tar.gz").read_bytes() == MODEL
    record = lab.record("how-good")
    assert record["TrainingJobStatus"] == "Completed"
    assert record["HyperParameters"] == asked
    (channel,) = record["InputDataConfig"]
    assert channel["DataSource"]["S3DataSource"]["S3Uri"] == f"{lab.store.url}/first/output/model.tar.gz"
    assert [(each["MetricName"], each["Value"]) for each in record["FinalMetricDataList"]] == [
        ("episode_reward_mean", 12.5),
        ("episode_reward_max", 20.0),
    ]
    assert "ModelArtifacts" not in record
    assert [entry.key for entry in lab.store.list("how-good/output")] == [
        "how-good/output/data/evaluation.json",
        "how-good/output/data/report.html",
        "how-good/output/output.tar.gz",
    ]


def test_by_default_it_is_the_newest_job_and_the_name_says_so(lab: Lab) -> None:
    job(lab.store, "second", "2026-01-02T00:00:00+00:00")
    assert lab.run() == 0
    (name,) = [name for name in lab.store.folders() if name not in ("first", "second")]
    assert name.startswith("second-evaluation-20")


def test_models_to_compare_have_channels_by_their_names(lab: Lab, tmp_path: Path) -> None:
    job(lab.store, "second")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "first.tar.gz").write_bytes(MODEL)
    assert lab.run("second", "first", str(tmp_path / "other" / "first.tar.gz")) == 0
    assert list(lab.given("inputdataconfig")) == ["second", "first", "first-2"]


def test_the_source_of_the_models_job_goes_along(lab: Lab, tmp_path: Path) -> None:
    lab.store.write("first/source/sourcedir.tar.gz", archive({"envs.py": b"ENVS = {}"}))
    copied = f"shutil.copytree(base / 'source', {str(tmp_path / 'code')!r})\n"
    assert lab.run("first", "--job", "how-good", code=copied) == 0
    assert (tmp_path / "code" / "envs.py").read_text() == "ENVS = {}"
    assert lab.given("hyperparameters")["sagemaker_submit_directory"].endswith("/source")
    assert lab.store.read("how-good/source/sourcedir.tar.gz") == lab.store.read("first/source/sourcedir.tar.gz")


def test_the_environment_is_asked_where_an_argument_is_not_given(lab: Lab) -> None:
    job(lab.store, "second", "2026-01-02T00:00:00+00:00")
    words = "seed=9 evaluate_episodes=2 env=CartPole-v0"
    assert lab.run("seed=4", MODEL="first", HYPERPARAMETERS=words, JOB="named", EXPERIMENT="cartpole") == 0
    assert lab.record("named")["HyperParameters"] == {
        "command": "evaluate",
        "evaluate_episodes": "2",
        "env": "CartPole-v0",
        "seed": "4",
    }
    assert "/first/" in json.dumps(lab.record("named")["InputDataConfig"])


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["nope"], "nope: no job of"),
        (["first", "--episodes", "0"], "evaluate_episodes = 0: must be 1 or more"),
        (["first", "--episodes", "2", "evaluate_episodes=3"], "evaluate_episodes = 2: given twice"),
        (["first", "config.lr=1"], "config.lr = 1: an evaluation trains nothing"),
        (["first", "--resume", "first"], "--resume first: goes with train, not with evaluate"),
        (["first", "--job", "first"], "--job first: "),
        (["first", "--job", "no spaces"], 'job name = "no spaces"'),
    ],
)
def test_what_is_wrong_is_refused_before_anything_is_made(
    words: List[str], expected: str, lab: Lab, capfd: pytest.CaptureFixture[str]
) -> None:
    assert lab.run(*words) == 2
    said = capfd.readouterr().err.splitlines()
    assert len(said) == 1 and said[0].startswith(expected)
    assert lab.store.folders() == ["first"]


def test_an_evaluation_does_not_go_on(lab: Lab, capfd: pytest.CaptureFixture[str]) -> None:
    assert lab.run("first", "--job", "stopped", code="os.kill(os.getppid(), signal.SIGTERM); wait()") == 143
    assert lab.record("stopped")["TrainingJobStatus"] == "Stopped"
    capfd.readouterr()
    assert run_local(["train", "--resume", "stopped"], container(""), lab.environ) == 2
    assert "it is an evaluation" in capfd.readouterr().err


@pytest.mark.parametrize("flag", [["--episodes", "3"], ["--model", "first"], ["--restore"]])
def test_flags_of_an_evaluation_are_no_flags_of_a_training(
    flag: List[str], lab: Lab, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run_local(["train", *flag], container(""), lab.environ) == 2
    assert f"{' '.join(flag)}: goes with evaluate" in capfd.readouterr().err
