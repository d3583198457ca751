"""The image, built once, and one job that was trained in it."""

from __future__ import annotations

from pathlib import Path
from typing import Tuple

import pytest

from tests.image.containers import IMAGE, OptMl, Ran, build


@pytest.fixture(scope="session")
def image() -> str:
    return build("cpu", IMAGE)


@pytest.fixture
def opt_ml(tmp_path: Path) -> OptMl:
    return OptMl(tmp_path / "ml")


@pytest.fixture(scope="session")
def trained(image: str, tmp_path_factory: pytest.TempPathFactory) -> Tuple[OptMl, Ran]:
    """What the built-in job left, run as SageMaker runs it."""
    opt_ml = OptMl(tmp_path_factory.mktemp("trained") / "ml")
    opt_ml.configure(
        **{
            "experiment": "cartpole",
            "rl.training.stop.training_iteration": "3",
            "rl.training.config.timesteps_per_iteration": "0",
            "seed": "1",
            "sagemaker_region": "us-east-1",
        }
    )
    return opt_ml, opt_ml.train(image)
