"""What holds for every ring: those that need a Docker engine are skipped without one, and what ran is counted."""

from __future__ import annotations

import json
import os
from functools import lru_cache
from pathlib import Path
from typing import Any, Iterator, List, Optional, Set

import psutil  # noqa: F401  # first of all: Ray, where it is imported before, has its own old one found in its place
import pytest

from rl_app.garbage import uncollected
from scripts.lib import engine
from scripts.lib.rings import COUNTS, NEED_ENGINE, SHARE_ENGINE


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--skip-all", metavar="REASON", help="skip every test, and say why")


def pytest_collection_modifyitems(config: pytest.Config, items: List[pytest.Item]) -> None:
    for item in items:
        reason = config.getoption("--skip-all") or without_engine(ring_of(item.nodeid))
        if reason:
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.hookimpl(hookwrapper=True)
def pytest_collection() -> Iterator[None]:
    """The tests and what they import are there to stay."""
    with uncollected():
        yield


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """A file's tests run in turn, for its fixtures' sake; so do all files that share an engine, beside the others."""
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            return "engine" if shares_engine(nodeid) else str(super()._split_scope(nodeid))

        def _assign_work_unit(self, node: Any) -> None:
            """Takes what lasts longest first, so that at the end no core waits for the other for long."""
            self.workqueue.move_to_end(min(self.workqueue, key=order), last=False)
            super()._assign_work_unit(node)

    return Scheduling(config, log)


def shares_engine(nodeid: str) -> bool:
    return nodeid.partition("/")[2].startswith(SHARE_ENGINE)


def order(scope: str) -> int:
    """When a part of the tests begins: those that share an engine, files of whole jobs, the many short ones."""
    return 0 if scope == "engine" else 1 if ring_of(scope) == "app" else 2


def ring_of(nodeid: str) -> str:
    return nodeid.split("/")[1]


@lru_cache(maxsize=None)
def without_engine(ring: str) -> Optional[str]:
    missing = engine.why_not() if ring in NEED_ENGINE else None
    return f"no Docker engine: {missing}" if missing else None


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Hands the numbers of passed, failed and skipped tests to scripts/test."""

    def tests(*outcomes: str) -> Set[str]:
        return {report.nodeid for outcome in outcomes for report in terminalreporter.stats.get(outcome, [])}

    failed = tests("failed", "error")  # a test that passed and could not clean up is both
    counts = [len(tests("passed", "xpassed") - failed), len(failed), len(tests("skipped", "xfailed") - failed)]
    if COUNTS in os.environ:
        Path(os.environ[COUNTS]).write_text(json.dumps(counts))
