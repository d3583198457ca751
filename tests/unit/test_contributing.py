"""CONTRIBUTING.md against the tree: the files, the tests and the symbols that it names are there."""

from __future__ import annotations

import ast
import re
from typing import List, NamedTuple, Set

import pytest

from scripts.lib.environments import ROOT

TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


class Row(NamedTuple):
    name: str
    symbols: List[str]
    files: List[str]
    tests: List[str]


def in_ticks(cell: str) -> List[str]:
    return re.findall("`([^`]+)`", cell)


def rows(heading: str) -> List[List[str]]:
    """The cells of the table below a heading."""
    section = TEXT.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[1:]]


CHANGES = [Row(name, in_ticks(add), in_ticks(where), in_ticks(test)) for name, add, where, test in rows("Five changes")]
PLACES = [Row(name, in_ticks(symbol), in_ticks(file), []) for name, symbol, file in rows("Where things are")]
BOTH = [pytest.param(row, id=row.name) for row in (*CHANGES, *PLACES)]


def defined(file: str) -> Set[str]:
    """The functions, classes and values of a module."""
    found: Set[str] = set()
    for node in ast.parse((ROOT / file).read_text(encoding="utf-8")).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            found.add(node.name)
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        found |= {target.id for target in targets if isinstance(target, ast.Name)}
    return found


def test_the_five_changes_are_listed() -> None:
    names = ["a new environment", "an experiment", "a setting of ours", "a serving media type", "a launch option"]
    assert [row.name for row in CHANGES] == names


def test_what_people_look_for_is_listed() -> None:
    named = " ".join(row.name for row in PLACES)
    assert all(words in named for words in ("a fault in resuming", "the text of an error", "what uploads a checkpoint"))


@pytest.mark.parametrize("row", BOTH)
def test_each_file_is_there(row: Row) -> None:
    assert row.files and [name for name in row.files if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("row", [pytest.param(row, id=row.name) for row in CHANGES])
def test_each_test_is_there_and_tests_something(row: Row) -> None:
    assert row.tests
    for name in row.tests:
        assert "def test_" in (ROOT / name).read_text(encoding="utf-8"), f"{name} has no test"


@pytest.mark.parametrize("row", BOTH)
def test_each_symbol_is_defined_in_a_file_of_its_row(row: Row) -> None:
    modules = [
        str(file.relative_to(ROOT))
        for name in row.files
        for file in ([ROOT / name] if name.endswith(".py") else sorted((ROOT / name).glob("*.py")))
    ]
    known = {symbol for module in modules for symbol in defined(module)}
    assert row.symbols and set(row.symbols) <= known
