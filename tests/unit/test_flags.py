"""The flags that help texts, messages and guides name: each is one of the command that the sentence speaks of.

A sentence that names no command is taken to be about each command that can come to say it.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Set, Tuple

import pytest

from rl_app.local.flags import FLAGS

ROOT = Path(__file__).parents[2]
GUIDES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
COMMANDS = sorted(path.name for path in (ROOT / "scripts").iterdir() if path.is_file() and not path.suffix)
FLAG = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
TAKES_JOBS = ("train", "evaluate", "launch")
SPEAKS_FOR = {"doctor": "launch"}
"""Who says in advance what another command would be refused for."""
PROGRAM = re.compile(r"scripts/([a-z]+)|\b(docker|pip|uv|curl|aws|apt-get|rl_app|ipykernel|pytest|nvidia-smi)\b")


class Function(NamedTuple):
    """What a function of a module says, and which others it may call."""

    says: List[str]
    calls: Set[Tuple[str, str]]


def parsed(module: str) -> ast.Module:
    return ast.parse((ROOT / (module.replace(".", "/") + ".py")).read_text(encoding="utf-8"))


def modules() -> List[str]:
    files = [*(ROOT / "scripts").rglob("*.py"), *(ROOT / "rl_app").rglob("*.py")]
    return [".".join(file.relative_to(ROOT).with_suffix("").parts) for file in files if file.name != "__init__.py"]


MODULES = set(modules())


def module_of(command: str) -> str:
    """The module whose main a command runs."""
    return f"scripts.commands.{command}"


def texts(node: ast.AST) -> Iterator[str]:
    """The strings below a node, an f-string as one; a word alone is no sentence but an argument."""
    if isinstance(node, ast.JoinedStr):
        parts = [str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values]
        yield "".join(parts)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    for child in ast.iter_child_nodes(node):
        documentation = isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant)
        if not isinstance(node, ast.JoinedStr) and not documentation:
            yield from texts(child)


def names(tree: ast.Module) -> Dict[str, Tuple[str, str]]:
    """What the names that a module imports mean: a module, or a function of one."""
    known: Dict[str, Tuple[str, str]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                known[alias.asname or alias.name] = (whole, "") if whole in MODULES else (node.module, alias.name)
    return known


def functions(module: str) -> Dict[str, Function]:
    """The functions and classes of a module, and "" for what lies outside of them."""
    tree = parsed(module)
    imported = names(tree)
    own = {node.name for node in tree.body if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    found: Dict[str, Function] = {}
    outside: List[str] = []
    for node in tree.body:
        if not isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            outside += texts(node)
            continue
        calls = set()
        for inner in ast.walk(node):
            if isinstance(inner, ast.Name) and inner.id in own:
                calls.add((module, inner.id))
            elif isinstance(inner, ast.Name) and imported.get(inner.id, ("", ""))[1]:
                calls.add(imported[inner.id])
            elif isinstance(inner, ast.Attribute) and isinstance(inner.value, ast.Name):
                calls.add((imported.get(inner.value.id, ("", ""))[0], inner.attr))
        found[node.name] = Function(list(texts(node)), calls)
    found[""] = Function(outside, set())
    return found


ALL = {module: functions(module) for module in MODULES}


def said_by(module: str) -> Iterator[Tuple[str, str]]:
    """(where, text) of all that a command whose main is in this module may say, and of its own help."""
    yield from ((module, text) for text in ALL[module][""].says)
    seen: Set[Tuple[str, str]] = set()
    waiting = [(module, "main")]
    while waiting:
        place = waiting.pop()
        if place in seen or place[1] not in ALL.get(place[0], {}):
            continue
        seen.add(place)
        function = ALL[place[0]][place[1]]
        yield from ((".".join(place), text) for text in function.says)
        waiting += function.calls


def spoken_of(text: str) -> Iterator[Tuple[str, str]]:
    """(command, flag) of each flag in a text; "" where the sentence names no command."""
    for clause in re.split(r"[;,\n`()]|\. ", text):
        clause = clause.partition(" -- ")[0]  # what follows is another program's
        for found in FLAG.finditer(clause):
            programs = [name[1] or name[2] for name in PROGRAM.finditer(clause, 0, found.start())]
            yield (programs[-1] if programs else ""), found[0]


def helped(*command: str) -> Set[str]:
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, timeout=120, check=True)
    return set(FLAG.findall(done.stdout.partition("examples:")[0]))


@pytest.fixture(scope="module")
def flags() -> Dict[str, Set[str]]:
    return {command: helped(sys.executable, f"scripts/{command}", "--help") for command in COMMANDS}


@pytest.mark.parametrize("command", COMMANDS)
def test_the_flags_that_a_command_speaks_of_are_there(command: str, flags: Dict[str, Set[str]]) -> None:
    own = flags[command] | flags.get(SPEAKS_FOR.get(command, ""), set())
    if command in TAKES_JOBS:  # they know the flags of each other's jobs, to refuse them by name
        own |= {flag.name for flag in FLAGS}
    wrong = [
        f"{where}: {text.strip()!r}: {about or command} has no {flag}"
        for where, text in said_by(module_of(command))
        if " " in text.strip() and not re.match("--[a-z]+=", text)  # an argument is no sentence
        for about, flag in spoken_of(text)
        if flag not in (flags.get(about, {flag}) if about else own)
    ]
    assert wrong == []


@pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: guide.name)
def test_the_flags_of_commands_that_a_guide_shows_are_there(guide: Path, flags: Dict[str, Set[str]]) -> None:
    wrong = [
        f"scripts/{about} has no {flag}"
        for about, flag in spoken_of(guide.read_text(encoding="utf-8"))
        if about in flags and flag not in flags[about]
    ]
    assert wrong == []
