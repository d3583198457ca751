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
from scripts.lib.rings import COUNTS, NEED_ENGINE


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--skip-all", metavar="REASON", help="skip every test, and say why")
    parser.addoption("--alone", choices=("yes", "no"), help="only what wants the machine alone, or all else")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "alone: nothing else is to run beside it, such as what waits for an idle core")


@pytest.hookimpl(hookwrapper=True)
def pytest_collection() -> Iterator[None]:
    """The tests and what they import are there to stay."""
    with uncollected():
        yield


def pytest_collection_modifyitems(config: pytest.Config, items: List[pytest.Item]) -> None:
    asked = config.getoption("--alone")
    if asked:
        wanted = [(item.get_closest_marker("alone") is not None) == (asked == "yes") for item in items]
        config.hook.pytest_deselected(items=[item for item, kept in zip(items, wanted) if not kept])
        items[:] = [item for item, kept in zip(items, wanted) if kept]
    for item in items:
        reason = config.getoption("--skip-all") or without_engine(ring_of(item))
        if reason:
            item.add_marker(pytest.mark.skip(reason=reason))


def ring_of(item: pytest.Item) -> str:
    return item.nodeid.split("/")[1]


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
