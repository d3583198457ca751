"""The layers of rl_app: a module imports from those below its own; from its own only where that is no circle.

entry → commands → workers → facts. The entry imports a command inside the function that runs it; commands do
not import each other; facts import the standard library only; scripts/ imports facts, and of the workers those
that a laptop can import with nothing installed.
"""

from __future__ import annotations

import ast
import importlib.util
import sys
import sysconfig
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Set

import pytest

ROOT = Path(__file__).parents[2]

ORDER = ["entry", "commands", "workers", "facts"]
LAYERS = {
    "entry": ["__main__"],
    "commands": ["train", "evaluate", "serve", "local_mode", "board", "doctor"],
    "facts": [
        *("algorithms", "cuda", "disk", "errors", "experiments", "hyperparameters", "machine", "metric_definitions"),
        "rules",
        *("sagemaker", "source"),
    ],
}

PORTABLE = ["metrics", "store"]


class Import(NamedTuple):
    module: str
    at_import: bool


def name_of(file: Path) -> str:
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {name_of(file): file for file in sorted((ROOT / "rl_app").rglob("*.py"))}
MODULES = sorted(set(FILES) - {"rl_app"})


def part_of(module: str) -> str:
    """``checkpoints`` of ``rl_app.checkpoints``, ``envs`` of ``rl_app.envs.creation``."""
    return module.split(".")[1]


def layer_of(module: str) -> str:
    return next((layer for layer, parts in LAYERS.items() if part_of(module) in parts), "workers")


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


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_down(module: str) -> None:
    layer = layer_of(module)
    for found in ours(module):
        target = layer_of(found.module)
        if layer == "entry":
            allowed = target == "commands" and not found.at_import
        elif layer == "commands":
            allowed = target in ("workers", "facts")
        else:
            allowed = ORDER.index(target) >= ORDER.index(layer)
        assert allowed, f"{module} ({layer}) imports {found.module} ({target})"


@pytest.mark.parametrize("module", MODULES)
def test_imports_make_no_circle(module: str) -> None:
    assert module not in reached(module, at_import_only=True)


@pytest.mark.parametrize("module", [module for module in MODULES if layer_of(module) == "facts"])
def test_facts_import_the_standard_library_only(module: str) -> None:
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


def test_scripts_import_facts_and_portable_workers_only() -> None:
    for file in sorted((ROOT / "scripts").iterdir()):
        if file.is_file() and (file.suffix == ".py" or "python" in file.open(encoding="utf-8").readline()):
            parts = {found.module for found in imports(file) if found.module.startswith("rl_app.")}
            others = {module for module in parts if layer_of(module) != "facts"}
            assert {part_of(module) for module in others} <= set(PORTABLE), file
