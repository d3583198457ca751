"""What many tests share: one trained job, for those that only look at what a job leaves, and one browser."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, Dict, Iterator

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


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """The table of tests/app/test_agreement.py: how many actions were compared, by algorithm and by who gave them."""
    counts: Dict[str, Counter[str]] = {}
    for report in terminalreporter.getreports("passed"):
        for name, compared in report.user_properties:
            if name == "agreement":
                counts.setdefault(compared["algorithm"], Counter()).update(compared["actions"])
    if not counts:
        return
    terminalreporter.section("actions equal to the trained agent's")
    ways = list(next(iter(counts.values())))
    for row in [["", *ways], *([name, *(str(found[way]) for way in ways)] for name, found in counts.items())]:
        terminalreporter.write_line("".join(cell.rjust(18) if i else cell.ljust(10) for i, cell in enumerate(row)))


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    driver = browsers.start()
    yield driver
    driver.quit()
