"""`scripts/test`: what it counts and says, on rings of its own."""

from __future__ import annotations

import re
import shutil
import sys
import warnings
from pathlib import Path

import pytest

from scripts.commands import test

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
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "tests" / "unit").mkdir(parents=True)
    shutil.copy(str(test.environments.ROOT / "tests" / "conftest.py"), str(tmp_path / "tests"))
    monkeypatch.setenv("PYTHONPATH", str(test.environments.ROOT))
    return tmp_path


def test_a_ring_is_counted_test_by_test(root: Path) -> None:
    (root / "tests" / "unit" / "test_results.py").write_text(RESULTS)
    counts, stopped = test.run(PYTEST, root)
    assert stopped is None
    assert counts == {"passed": 3, "failed": 2, "skipped": 1}


def test_a_ring_without_an_engine_is_skipped_and_says_why(
    root: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{root}/nothing")
    (root / "tests" / "stack").mkdir()
    (root / "tests" / "stack" / "test_results.py").write_text(RESULTS)
    counts, _ = test.run([*PYTEST[:-1], "tests/stack", "-ra"], root)
    assert counts == {"passed": 0, "failed": 0, "skipped": 6}
    assert "no Docker engine: " in capfd.readouterr().out


def test_a_ring_without_tests_is_no_failure(root: Path) -> None:
    counts, _ = test.run(PYTEST, root)
    assert sum(counts.values()) == 0


@pytest.mark.parametrize("text", ["def test_(:", "import does_not_exist"])
def test_a_ring_that_cannot_be_read_is_a_failure(root: Path, text: str) -> None:
    (root / "tests" / "unit" / "test_results.py").write_text(text)
    assert test.run(PYTEST, root)[0]["failed"] == 1
    assert test.run([*PYTEST, "--skip-all", "because"], root)[0]["failed"] == 1


def test_an_option_that_pytest_does_not_know_is_a_failure(root: Path) -> None:
    assert test.run([*PYTEST, "--no-such-option"], root)[0]["failed"] == 1


def test_rings_run_in_their_order_and_options_go_to_pytest(root: Path) -> None:
    (root / "tests" / "app").mkdir()
    assert test.parse(["app", "unit", "--", "-k", "x", "--", "y"], root) == (
        ["unit", "app"],
        ["-k", "x", "--", "y"],
    )
    assert test.parse([], root) == (["unit", "app"], [])


def test_a_ring_that_is_not_there_is_refused(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        test.parse(["stack"], root)
    assert refused.value.code == 2
    assert "stack: there is no such ring; there are unit" in capsys.readouterr().err


def test_a_ring_on_request_is_left_out_and_said_to_be(root: Path) -> None:
    for ring in ("app", "gpu"):
        (root / "tests" / ring).mkdir()
    assert test.parse([], root)[0] == ["unit", "app"]
    assert test.parse(["gpu"], root)[0] == ["gpu"]
    assert test.only_on_request(["unit", "app"], root) == ["gpu"]
    assert test.only_on_request(["unit"], root) == [], "who names rings knows what the others are"


def test_a_run_of_all_counts_what_is_on_request_as_skipped_and_says_why(
    root: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "tests" / "gpu").mkdir()
    for ring in ("unit", "gpu"):
        (root / "tests" / ring / f"test_{ring}.py").write_text("def test_passes(): pass")
    monkeypatch.setattr(test.environments, "ensure", lambda locks: Path(sys.executable))
    assert test.main(["--", "-ra"], root) == 0
    said = capfd.readouterr().out
    assert said.splitlines()[-1] == "1 passed, 0 failed, 1 skipped"
    assert "`scripts/test gpu` runs it" in said


def test_what_wants_the_machine_alone_runs_after_the_others_and_is_counted_with_them(
    root: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "tests" / "unit" / "test_a.py").write_text("import pytest\n@pytest.mark.alone\ndef test_alone(): pass")
    (root / "tests" / "unit" / "test_b.py").write_text("def test_beside(): pass\ndef test_fails(): assert False")
    monkeypatch.setattr(test.environments, "ensure", lambda locks: Path(sys.executable))
    assert test.main(["unit", "--", "-v"], root) == 1
    said = capfd.readouterr().out
    assert said.splitlines()[-1] == "2 passed, 1 failed, 0 skipped"
    assert re.search(r"files at once\n.*test_beside.*; what wants the machine alone\n.*test_alone", said, re.DOTALL)


def test_a_warning_of_ours_fails_a_test() -> None:
    with pytest.raises(DeprecationWarning, match="of ours"):
        warnings.warn("of ours", DeprecationWarning, stacklevel=1)
