"""The compose service `train-gpu`, and `scripts/train --gpu` where no GPU can be had."""

import json
import os
import subprocess
import sys

import pytest

from scripts.lib import engine
from tests.image.containers import REPOSITORY, docker


def config(**environment):
    told = subprocess.run(
        ["docker", "compose", "--profile", "gpu", "config", "--format", "json"],
        cwd=REPOSITORY,
        env={**environ_without_settings(), **environment},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(told.stdout)["services"]["train-gpu"]


def environ_without_settings():
    return {key: value for key, value in os.environ.items() if key not in ("GPUS", "COMPOSE_PROFILES")}


@pytest.mark.parametrize(("environment", "count"), [({}, -1), ({"GPUS": "all"}, -1), ({"GPUS": "2"}, 2)])
def test_the_rendered_service_reserves_the_gpus(environment, count):
    service = config(**environment)
    (device,) = service["deploy"]["resources"]["reservations"]["devices"]
    assert (device["driver"], device["capabilities"], device["count"]) == ("nvidia", ["gpu"], count)


def test_it_is_the_gpu_image_in_all_else_as_train():
    service = config()
    assert service["build"]["dockerfile"] == "Dockerfile.gpu"
    assert service["image"] == service["environment"]["RL_IMAGE"] == "sagemaker-rllib:gpu"
    assert service["command"] == ["local", "train"] and service["shm_size"]


def test_scripts_train_says_in_one_line_what_is_missing_and_how_to_go_on_without(no_gpu):
    code = "import sys; from scripts.commands.train import main; sys.exit(main(sys.argv[1:]))"
    ran = subprocess.run(
        [sys.executable, "-c", code, "catch", "--gpu"],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=400,
    )
    assert ran.returncode == 2
    assert ran.stdout == f"--gpu: {no_gpu}; without --gpu the CPU trains\n"
    assert not docker("ps", "-aq", "--filter", f"ancestor={engine.PROBE}", "--filter", "status=created").output


def test_without_the_toolkit_that_is_what_is_missing(no_gpu):
    if "nvidia-container-cli" in no_gpu or "finds no driver" in no_gpu:
        pytest.skip(f"the toolkit is here: {no_gpu}")
    assert "install nvidia-container-toolkit" in no_gpu
