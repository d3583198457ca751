"""One trained job, shared by every test that only looks at what a job leaves."""

from __future__ import annotations

from pathlib import Path

import pytest

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
