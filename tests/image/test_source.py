"""A user's own environments and experiments, as SageMaker's estimators hand them to the container."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.image.containers import REPOSITORY, OptMl, Ran, docker, pack

CORRIDOR = REPOSITORY / "examples" / "corridor"
SHORT = {"experiment": "corridor", "rl.training.stop.training_iteration": "1"}


def trained_in_the_corridor(opt_ml: OptMl, ran: Ran) -> None:
    assert ran.status == 0, ran.output
    assert "PPO on corridor" in ran.output
    facts = json.loads((opt_ml.base / "model" / "policy.json").read_text())
    assert (facts["env"], facts["env_config"]) == ("corridor", {"length": 8})


@pytest.mark.parametrize("entry_point", ["envs.py", "experiments.py"])
def test_the_source_archive_of_an_estimator(entry_point: str, image: str, opt_ml: OptMl, tmp_path: Path) -> None:
    archive = pack(CORRIDOR, tmp_path / "sourcedir.tar.gz")
    opt_ml.configure(sagemaker_program=entry_point, sagemaker_submit_directory=f"/user/{archive.name}", **SHORT)
    trained_in_the_corridor(opt_ml, opt_ml.train(image, "-v", f"{archive.parent}:/user:ro"))


def test_the_source_directory_of_a_local_job(image: str, opt_ml: OptMl) -> None:
    opt_ml.configure(sagemaker_program="envs.py", sagemaker_submit_directory="/opt/ml/code", **SHORT)
    environment = ("-e", "SAGEMAKER_PROGRAM=envs.py", "-e", "SAGEMAKER_SUBMIT_DIRECTORY=/opt/ml/code")
    trained_in_the_corridor(opt_ml, opt_ml.train(image, "-v", f"{CORRIDOR}:/opt/ml/code:ro", *environment))


def test_what_is_wrong_with_it_is_said_with_its_file_and_line(image: str, opt_ml: OptMl, tmp_path: Path) -> None:
    wrong = (CORRIDOR / "envs.py").read_text().replace("return self._observe(), -1.0", "return 5 / 0, -1.0")
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "envs.py").write_text(wrong)
    line = wrong.splitlines().index("        return 5 / 0, -1.0, self.place == self.length, {}") + 1
    opt_ml.configure(sagemaker_program="envs.py", **{"rl.training.env": "corridor"})
    ran = opt_ml.train(image, "-v", f"{tmp_path / 'code'}:/opt/ml/code:ro")
    assert ran.status == 2, ran.output
    assert ran.output.strip() == opt_ml.failure
    assert opt_ml.failure == f"env = corridor: step raised ZeroDivisionError: division by zero (envs.py:{line})"


def test_the_example_of_a_program(image: str, opt_ml: OptMl, tmp_path: Path) -> None:
    archive = pack(REPOSITORY / "examples" / "program", tmp_path / "sourcedir.tar.gz")
    place = {"sagemaker_program": "random_search.py", "sagemaker_submit_directory": f"/user/{archive.name}"}
    ran = opt_ml.configure(tries="3", **place).train(image, "-v", f"{archive.parent}:/user:ro")
    assert ran.status == 0, ran.output
    assert len(json.loads((opt_ml.base / "model" / "weights.json").read_text())["weights"]) == 4


def as_version_3_of_the_sdk_starts_it(image: str, opt_ml: OptMl, *more: str) -> Ran:
    """No command, no host name, and a network interface that is not there."""
    (opt_ml.base / "input" / "config" / "resourceconfig.json").write_text(
        json.dumps({"current_host": "algo-1", "hosts": ["algo-1"], "network_interface_name": "ethwe"})
    )
    return docker("run", "--rm", "--network", "none", "-v", f"{opt_ml.base}:/opt/ml", *more, image, deadline_s=180)


def test_without_a_command_it_trains_where_there_is_a_job(image: str, opt_ml: OptMl) -> None:
    opt_ml.configure(experiment="cartpole", **{"rl.training.stop.training_iteration": "1"})
    ran = as_version_3_of_the_sdk_starts_it(image, opt_ml)
    assert ran.status == 0, ran.output
    assert (opt_ml.base / "model" / "policy.onnx").exists()


def test_a_program_needs_neither_the_hosts_name_nor_the_images_pythonpath(
    image: str, opt_ml: OptMl, tmp_path: Path
) -> None:
    for folder, name, text in (
        (
            "code",
            "mine.py",
            "import os, here, numpy, rl_app.envs; print('on', os.environ['SM_NETWORK_INTERFACE_NAME'])",
        ),
        ("derived", "here.py", ""),
    ):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_text(text)
    opt_ml.configure(sagemaker_program='"mine.py"', sagemaker_submit_directory='"/opt/ml/code"')
    mounts = ["-v", f"{tmp_path / 'code'}:/opt/ml/code:ro", "-v", f"{tmp_path / 'derived'}:/derived:ro"]
    ran = as_version_3_of_the_sdk_starts_it(image, opt_ml, *mounts, "-e", "PYTHONPATH=/derived")
    assert ran.status == 0, ran.output
    assert "on lo\n" in ran.output
    assert "NO MODEL: mine.py left /opt/ml/model empty" in ran.output
