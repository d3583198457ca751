"""The GPU image, built once."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.lib import engine
from tests.image.containers import OptMl, build


@pytest.fixture(scope="session")
def image() -> str:
    return build("gpu", "sagemaker-rllib:test-gpu")


@pytest.fixture
def opt_ml(tmp_path: Path) -> OptMl:
    return OptMl(tmp_path / "ml")


@pytest.fixture(scope="session")
def no_gpu() -> str:
    """Why there is no GPU here; where there is one, what is said without one cannot be seen."""
    reason = engine.why_no_gpu()
    if reason is None:
        pytest.skip("this engine gives a container a GPU")
    return reason


@pytest.fixture(scope="session")
def a_gpu() -> None:
    reason = engine.why_no_gpu()
    if reason is not None:
        pytest.skip(f"no GPU: {reason}")
