"""The layers of the code are its folders: each imports from those below it, and from its own without a circle.

A folder of the highest layer is a command of the container, which the entry imports inside the function that runs
it. `scripts/commands` import `scripts/lib` and never each other; scripts import of rl_app what a laptop can import
with nothing installed.
"""

from __future__ import annotations

import ast
import importlib.util
import sys
import sysconfig
from pathlib import Path
from typing import Dict, Iterable, Iterator, List, NamedTuple, Set

import pytest

ROOT = Path(__file__).parents[2]

GROUND = ("errors", "plain", "masking", "machine", "blas", "cuda", "files", "disk", "garbage", "typed")
LAYERS = [
    GROUND,
    ("algorithms", "experiments", "experiences", "spaces", "stopping", "storage", "terminal", "cluster"),
    ("job",),
    ("envs",),
    ("policy",),
    ("reports",),
    ("evaluation", "serving", "training"),
    ("local",),
    ("train", "evaluate", "serve", "convert", "board", "doctor"),
    ("__main__",),
]
"""What stands directly in rl_app, lowest first."""
ENTRY = len(LAYERS) - 1
STANDARD_LIBRARY_ONLY = (
    *GROUND,
    "algorithms",
    "experiments",
    "job",
    "local",
    "cluster",
    "storage.archives",
    "experiences.flags",
)
PORTABLE = ("envs", "reports.link", "storage")
"""What else scripts may import: nothing but the standard library is imported with it."""


class Import(NamedTuple):
    module: str
    at_import: bool


def name_of(file: Path) -> str:
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {name_of(file): file for file in sorted((ROOT / "rl_app").rglob("*.py"))}
MODULES = sorted(set(FILES) - {"rl_app"})


def part_of(module: str) -> str:
    """``disk`` of ``rl_app.disk``, ``envs`` of ``rl_app.envs.contract.creation``."""
    return module.split(".")[1]


def rank(module: str) -> int:
    return next(i for i, parts in enumerate(LAYERS) if part_of(module) in parts)


def is_among(module: str, parts: Iterable[str]) -> bool:
    below = module.partition(".")[2]
    return any(below == part or below.startswith(f"{part}.") for part in parts)


def imports(file: Path) -> List[Import]:
    return [
        Import(module, at_import)
        for node, at_import in walk(ast.parse(file.read_text(encoding="utf-8")), True)
        for module in imported(node)
    ]


def walk(node: ast.AST, at_import: bool) -> Iterator["tuple[ast.AST, bool]"]:
    """Every node, with whether importing the module runs it; what is for type checkers alone is left out."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and getattr(child.test, "id", "") == "TYPE_CHECKING":
            continue
        inside = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        yield child, at_import
        yield from walk(child, at_import and not inside)


def imported(node: ast.AST) -> List[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        assert node.level == 0, "imports are absolute"
        below = [f"{node.module}.{alias.name}" for alias in node.names]
        return [name if name in FILES else str(node.module) for name in below]
    return []


def ours(module: str) -> List[Import]:
    return [found for found in imports(FILES[module]) if found.module in FILES and found.module != "rl_app"]


def reached(module: str, at_import_only: bool) -> Set[str]:
    """The modules of rl_app that ``module`` leads to."""
    seen: Set[str] = set()
    waiting = [module]
    while waiting:
        for found in ours(waiting.pop()):
            if found.module not in seen and (found.at_import or not at_import_only):
                seen.add(found.module)
                waiting.append(found.module)
    return seen


def test_every_folder_has_a_layer() -> None:
    assert {part_of(module) for module in MODULES} == {part for parts in LAYERS for part in parts}


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_down(module: str) -> None:
    for found in ours(module):
        beside = part_of(module) == part_of(found.module) or rank(module) == 0
        assert rank(found.module) < rank(module) or (beside and rank(found.module) == rank(module)), (
            f"{module} imports {found.module}, which is not below it"
        )
        assert rank(module) != ENTRY or not found.at_import, f"{module} imports {found.module} before it is asked for"


@pytest.mark.parametrize("module", MODULES)
def test_imports_make_no_circle(module: str) -> None:
    assert module not in reached(module, at_import_only=True)


@pytest.mark.parametrize("module", [module for module in MODULES if is_among(module, STANDARD_LIBRARY_ONLY)])
def test_it_needs_the_standard_library_only(module: str) -> None:
    others = {found.module for found in imports(FILES[module])} - set(FILES)

    assert not {name for name in others if not is_standard(name.split(".")[0])}


def is_standard(name: str) -> bool:
    if name in sys.builtin_module_names:
        return True
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin == "frozen":
        return spec is not None
    where = Path(str(spec.origin)).resolve()
    paths: Dict[str, str] = sysconfig.get_paths()
    library = [Path(paths[key]).resolve() for key in ("stdlib", "platstdlib")]
    return any(path in where.parents for path in library) and "site-packages" not in where.parts


@pytest.mark.parametrize("module", FILES)
def test_the_container_knows_no_scripts(module: str) -> None:
    assert not {found.module for found in imports(FILES[module]) if found.module.split(".")[0] == "scripts"}


@pytest.mark.parametrize("module", [f"rl_app.{part}" for part in PORTABLE])
def test_what_scripts_import_needs_nothing_installed(module: str) -> None:
    at_once = {found.module for found in imports(FILES[module]) if found.at_import} - set(FILES)
    assert not {name for name in at_once if not is_standard(name.split(".")[0])}


SCRIPTS = sorted((ROOT / "scripts").rglob("*.py"))


@pytest.mark.parametrize("file", SCRIPTS, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_a_script_imports_what_a_laptop_has(file: Path) -> None:
    parts = {found.module for found in imports(file) if found.module.startswith("rl_app.")}
    assert {module for module in parts if not is_among(module, (*STANDARD_LIBRARY_ONLY, *PORTABLE))} == set()


@pytest.mark.parametrize("file", SCRIPTS, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_a_command_is_imported_by_none(file: Path) -> None:
    assert {found.module for found in imports(file) if found.module.startswith("scripts.commands")} == set()
