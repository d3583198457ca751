"""`scripts/test`: what it counts and says, on rings of its own."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from scripts import testing

RESULTS = """
import pytest

def test_passes():
    pass

def test_fails():
    assert False

def test_skips():
    pytest.skip("no such device")

@pytest.mark.parametrize("text", ["a b", "c::d"])
def test_passes_with_names_that_hold_spaces(text):
    pass

@pytest.fixture
def broken():
    yield
    raise OSError

def test_passes_and_cannot_clean_up(broken):
    pass
"""
PYTEST = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "tests/unit"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "tests" / "unit").mkdir(parents=True)
    return tmp_path


def test_a_ring_is_counted_test_by_test(root: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (root / "tests" / "unit" / "test_results.py").write_text(RESULTS)
    tally, stopped = testing.run("unit", PYTEST, root)
    testing.report([tally])
    lines = capfd.readouterr().out.splitlines()
    assert stopped is None
    assert lines[-1] == "3 passed, 2 failed, 1 skipped"
    assert lines[-2].split() == ["1", "skipped:", "no", "such", "device"]
    assert lines[-3].startswith("unit      5 ran: 3 passed, 2 failed; 1 skipped; ")


def test_a_ring_that_cannot_run_is_skipped_with_its_number_of_tests(
    root: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (root / "tests" / "unit" / "test_results.py").write_text(RESULTS)
    testing.report([testing.leave_out("unit", PYTEST, "no Docker engine", root)])
    lines = capfd.readouterr().out.splitlines()
    assert lines[-1] == "0 passed, 0 failed, 6 skipped"
    assert "6 skipped: no Docker engine" in lines[-2]


def test_a_ring_without_tests_is_no_failure(root: Path) -> None:
    tally, _ = testing.run("unit", PYTEST, root)
    assert (tally.passed, tally.failed, tally.skipped) == (0, 0, 0)


@pytest.mark.parametrize("text", ["def test_(:", "import does_not_exist"])
def test_a_ring_that_cannot_be_read_is_a_failure(root: Path, text: str) -> None:
    (root / "tests" / "unit" / "test_results.py").write_text(text)
    assert testing.run("unit", PYTEST, root)[0].failed == 1
    assert testing.leave_out("unit", PYTEST, "no Docker engine", root).failed == 1


def test_an_option_that_pytest_does_not_know_is_a_failure(root: Path) -> None:
    assert testing.run("unit", [*PYTEST, "--no-such-option"], root)[0].failed == 1


def test_rings_run_in_their_order_and_options_go_to_pytest(root: Path) -> None:
    (root / "tests" / "app").mkdir()
    assert testing.parse(["app", "unit", "--", "-k", "x", "--", "y"], root) == (
        ["unit", "app"],
        ["-k", "x", "--", "y"],
    )
    assert testing.parse([], root) == (["unit", "app"], [])


def test_a_ring_that_is_not_there_is_refused(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        testing.parse(["stack"], root)
    assert refused.value.code == 2
    assert "stack: there is no such ring; there are unit" in capsys.readouterr().err


def test_a_ring_on_request_is_left_out_and_said_to_be(root: Path) -> None:
    for ring in ("app", "gpu"):
        (root / "tests" / ring).mkdir()
    assert testing.parse([], root)[0] == ["unit", "app"]
    assert testing.parse(["gpu"], root)[0] == ["gpu"]
    assert testing.only_on_request(["unit", "app"], root) == ["gpu"]
    assert testing.only_on_request(["unit"], root) == [], "who names rings knows what the others are"


def test_a_run_of_all_counts_what_is_on_request_as_skipped_and_says_why(
    root: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "tests" / "gpu").mkdir()
    for ring in ("unit", "gpu"):
        (root / "tests" / ring / f"test_{ring}.py").write_text("def test_passes(): pass")
    monkeypatch.setattr(testing.environments, "ensure", lambda locks: Path(sys.executable))
    assert testing.main([], root) == 0
    lines = capfd.readouterr().out.splitlines()
    assert lines[-1] == "1 passed, 0 failed, 1 skipped"
    assert "`scripts/test gpu` runs it" in lines[-2]
