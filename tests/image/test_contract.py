"""`docker run IMAGE train` over a mounted /opt/ml: SageMaker's contract with a training container."""

import json
import time

import pytest

from tests.image.containers import CALLER, docker, pack
from tests.waiting import until

PROGRAM = """
import argparse, json, os, sys
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float)
parser.add_argument("--fail", type=int, default=0)
arguments = parser.parse_args()
print("program ran with lr", arguments.lr, flush=True)
with open(os.path.join(os.environ["SM_MODEL_DIR"], "made.json"), "w") as stream:
    json.dump({"lr": arguments.lr}, stream)
sys.exit(arguments.fail)
"""


@pytest.fixture
def code(tmp_path):
    directory = tmp_path / "code"
    directory.mkdir()
    (directory / "program.py").write_text(PROGRAM)
    return directory


def test_the_built_in_job_trains_and_exits_0(trained):
    opt_ml, ran = trained
    assert ran.status == 0, ran.output
    assert "iteration    3" in ran.output
    assert opt_ml.failure is None
    assert (opt_ml.base / "output" / "success").exists()


def test_model_output_and_checkpoints_are_where_sagemaker_takes_them_from(trained):
    opt_ml, _ = trained
    model = {str(path.relative_to(opt_ml.base / "model")) for path in (opt_ml.base / "model").rglob("*")}
    assert {
        "1/saved_model.pb",
        "policy.onnx",
        "policy.json",
        "checkpoint",
        "checkpoint.tune_metadata",
        "params.json",
    } <= model
    assert (opt_ml.base / "output" / "data" / "metrics.jsonl").exists()
    assert (opt_ml.base / "checkpoints" / "checkpoint_3" / "checkpoint-3").exists()


def test_every_file_belongs_to_who_owns_the_directory(trained):
    opt_ml, _ = trained
    owners = opt_ml.owners()
    assert owners and set(owners.values()) == {CALLER}, owners


def test_a_job_that_finds_checkpoints_goes_on(image, trained, opt_ml):
    before, _ = trained
    opt_ml.configure(**{"rl.training.stop.training_iteration": "4", "rl.training.config.timesteps_per_iteration": "0"})
    (opt_ml.base / "checkpoints").rmdir()
    (before.base / "checkpoints").rename(opt_ml.base / "checkpoints")
    try:
        ran = opt_ml.train(image)
    finally:
        import shutil

        shutil.copytree(str(opt_ml.base / "checkpoints"), str(before.base / "checkpoints"))
    assert ran.status == 0, ran.output
    assert "going on from iteration 3" in ran.output and "iteration    1 " not in ran.output


def test_sigterm_saves_exports_and_exits_0(image, opt_ml):
    opt_ml.configure(
        **{"rl.training.stop.training_iteration": "100000", "rl.training.config.timesteps_per_iteration": "0"}
    )
    name = docker("run", "-d", *opt_ml.run_options()[1:], image, "train").output.strip()
    try:
        until(lambda: "iteration    2" in docker("logs", name).output, 120)
        began = time.monotonic()
        docker("stop", "-t", "120", name)
        took = time.monotonic() - began
        assert docker("inspect", "-f", "{{.State.ExitCode}}", name).output.strip() == "0", docker("logs", name).output
        assert took < 30
        assert (opt_ml.base / "model" / "policy.onnx").exists()
    finally:
        docker("rm", "-f", name)


@pytest.mark.parametrize(
    "hyperparameters, parts",
    [
        ({"experiment": "cart-pole"}, ["cart-pole", "cartpole"]),
        ({"rl.training.config.lrr": "0.1"}, ["lrr", "lr"]),
        ({"rl.training.config.num_workers": "4096"}, ["num_workers", "4096"]),
        ({"rl.training.env": "CartPole-v9"}, ["CartPole-v9", "CartPole-v1"]),
    ],
)
def test_what_the_user_can_fix_is_one_line_and_status_2(image, opt_ml, hyperparameters, parts):
    ran = opt_ml.configure(**hyperparameters).train(image)
    assert ran.status == 2, ran.output
    assert all(part in ran.output for part in parts), ran.output
    assert "Traceback" not in ran.output
    assert opt_ml.failure and opt_ml.failure.strip() in ran.output
    assert not list((opt_ml.base / "model").iterdir())


@pytest.mark.parametrize("file", ["hyperparameters.json", "resourceconfig.json", "inputdataconfig.json"])
def test_malformed_config_names_the_file_and_the_place(image, opt_ml, file):
    opt_ml.configure()
    (opt_ml.base / "input" / "config" / file).write_text('{"a": \n oops}')
    ran = opt_ml.train(image)
    assert ran.status == 2, ran.output
    assert len(ran.output.strip().splitlines()) == 1
    assert file in ran.output and "line 2" in ran.output
    assert opt_ml.failure and file in opt_ml.failure


def test_a_host_that_never_comes_is_named_once_its_time_is_over(image, opt_ml):
    opt_ml.configure(hosts_deadline="2")
    file = opt_ml.base / "input" / "config" / "resourceconfig.json"
    file.write_text(json.dumps({"current_host": "algo-1", "hosts": ["algo-1", "algo-2"]}))
    ran = opt_ml.train(image)
    said = "not there after 2 s, which hosts_deadline sets: algo-2"
    assert (ran.status, ran.output.strip().splitlines()[-1]) == (1, f"failed: {said}"), ran.output
    assert opt_ml.failure == said


def test_a_users_program_runs_in_place_of_the_built_in_job(image, opt_ml, code):
    opt_ml.configure(sagemaker_program="program.py", sagemaker_submit_directory="/user", lr="0.5", anything="goes")
    ran = opt_ml.train(image, "-v", f"{code}:/user:ro")
    assert ran.status == 1 and "unrecognized arguments" in ran.output  # its own argparse decides what goes
    (opt_ml.base / "input" / "config" / "hyperparameters.json").write_text(
        json.dumps({"sagemaker_program": "program.py", "sagemaker_submit_directory": "/user", "lr": "0.5"})
    )
    ran = opt_ml.train(image, "-v", f"{code}:/user:ro")
    assert ran.status == 0, ran.output
    assert "program ran with lr 0.5" in ran.output
    assert json.loads((opt_ml.base / "model" / "made.json").read_text()) == {"lr": 0.5}
    assert set(opt_ml.owners().values()) == {CALLER}


def test_a_users_program_from_an_archive(image, opt_ml, code, tmp_path):
    archive = pack(code, tmp_path / "sourcedir.tar.gz")
    opt_ml.configure(sagemaker_program="program.py", sagemaker_submit_directory="/user/sourcedir.tar.gz", lr="0.5")
    ran = opt_ml.train(image, "-v", f"{archive.parent}:/user:ro")
    assert ran.status == 0, ran.output
    assert (opt_ml.base / "model" / "made.json").exists()


def test_a_users_program_that_fails_is_status_1_with_its_reason(image, opt_ml, code):
    opt_ml.configure(sagemaker_program="program.py", sagemaker_submit_directory="/user", fail="5")
    ran = opt_ml.train(image, "-v", f"{code}:/user:ro")
    assert ran.status == 1, ran.output
    assert opt_ml.failure and "5" in opt_ml.failure
