"""What many tests share: one trained job, for those that only look at what a job leaves, and one browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Iterator

import pytest

from tests.app import browser as browsers
from tests.app.jobs import SHORT, Finished, local, run


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="session")
def trained(store: Path) -> Finished:
    ran = run(local("cartpole", *SHORT, "seed=1", "--job", "trained", "--store", str(store)))
    assert ran.status == 0, ran
    return Finished(store, "trained", ran)


@pytest.fixture(scope="session")
def model(trained: Finished, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained.unpack("model.tar.gz", tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="session")
def output(trained: Finished, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained.unpack("output.tar.gz", tmp_path_factory.mktemp("output"))


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    driver = browsers.start()
    yield driver
    driver.quit()
