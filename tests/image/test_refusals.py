"""Wrong inputs that take a container to be met; the others are in ``tests/app/test_refusals.py``."""

from __future__ import annotations

from pathlib import Path
from typing import Callable, Dict, NamedTuple, Tuple

import pytest

from tests.image.containers import OptMl, docker


class Refusal(NamedTuple):
    """``options`` of ``docker run``, which may name a directory beside ``/opt/ml``; what has to be in the line."""

    options: Callable[[Path], Tuple[str, ...]]
    parts: Tuple[str, ...]


REFUSALS: Dict[str, Refusal] = {
    "no space in /dev/shm, nor in /tmp": Refusal(
        lambda _: ("--shm-size", "1m", "--tmpfs", "/tmp:size=32m"),
        ("/dev/shm has 0 MiB to spare, and Ray needs 75", "/tmp", "docker run --shm-size 1g"),
    ),
    "no space on the disk": Refusal(
        lambda _: ("--mount", "type=tmpfs,dst=/opt/ml/output,tmpfs-size=2m"),
        ("/opt/ml/output/data: its disk has 2.0 MiB free, and a job needs 16 MiB",),
    ),
    "a model directory that is not writable": Refusal(
        lambda beside: ("-v", f"{beside}:/opt/ml/model:ro"),
        ("/opt/ml/model is not writable: a job leaves its files there",),
    ),
}
SHORT = {"rl.training.stop.training_iteration": "1", "rl.training.config.timesteps_per_iteration": "0"}
WITH_RAY = {**SHORT, "rl.training.config.num_workers": "1"}


@pytest.mark.parametrize("name", REFUSALS)
def test_it_is_refused_in_one_line_and_no_model_is_made(name: str, image: str, opt_ml: OptMl, tmp_path: Path) -> None:
    (tmp_path / "beside").mkdir()
    case = REFUSALS[name]
    ran = opt_ml.configure(**WITH_RAY).train(image, *case.options(tmp_path / "beside"))
    assert ran.status == 2, ran.output
    (line,) = ran.output.strip().splitlines()
    assert all(part in line for part in case.parts), line
    assert not list((opt_ml.base / "model").iterdir()) and not list((opt_ml.base / "checkpoints").iterdir())
    assert not list(opt_ml.base.rglob(".tmp*"))


def test_opt_ml_missing_is_one_line(image: str) -> None:
    ran = docker("run", "--rm", image, "train")
    assert ran.status == 2, ran.output
    (line,) = ran.output.strip().splitlines()
    assert line == "/opt/ml/input/config is missing: mount SageMaker's /opt/ml, or let SAGEMAKER_BASE_DIR name one"


def test_too_little_shared_memory_is_said_and_trains_all_the_same(image: str, opt_ml: OptMl) -> None:
    ran = opt_ml.configure(**WITH_RAY).train(image, "--shm-size", "1m")
    assert ran.status == 0, ran.output
    assert "/dev/shm has 0 MiB to spare, and Ray needs 75: it keeps its objects in /tmp, which is slower" in ran.output
    assert (opt_ml.base / "model" / "policy.onnx").exists()


def test_a_job_that_needs_no_ray_needs_no_shared_memory(image: str, opt_ml: OptMl) -> None:
    ran = opt_ml.configure(**SHORT).train(image, "--shm-size", "1m")
    assert ran.status == 0, ran.output
    assert "/dev/shm" not in ran.output and "starting (" in ran.output
