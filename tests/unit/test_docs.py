"""The commands that README.md and the guides show are ones that can be typed: their flags and settings exist."""

from __future__ import annotations

import functools
import re
import shlex
import subprocess
from pathlib import Path
from typing import Iterator, List, Set, Tuple

import pytest

from rl_app.errors import UserError
from rl_app.experiments import EXPERIMENTS
from rl_app.job.hyperparameters import assignments, parse, parse_evaluation
from rl_app.job.settings import Settings
from rl_app.terminal.console import compact_line
from scripts.lib.environments import ROOT

README = ROOT / "README.md"
GUIDES = [README, ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
COMMANDS = sorted(path.name for path in (ROOT / "scripts").iterdir() if path.is_file() and not path.suffix)
TAKES_SETTINGS = ("train", "evaluate", "launch")
SETS = re.compile(r"^(\w+=\S+ )+")  # variables before a command
COMMENT = re.compile(r" {2,}\S.*$")  # what a line of a code block says about the command before it


def commands(guide: Path) -> Iterator[Tuple[str, List[str]]]:
    """(command, words) of each `scripts/…` in a code block, and between backticks in the text."""
    text = guide.read_text(encoding="utf-8")
    blocks = re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    rest = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    typed = [COMMENT.sub("", SETS.sub("", line.lstrip("$ "))) for block in blocks for line in block.splitlines()]
    for line in [*typed, *re.findall(r"`(scripts/[^`]+)`", rest)]:
        if line.startswith("scripts/"):
            name, *words = shlex.split(re.sub(r"[\[\]…|]", " ", line))
            yield name[len("scripts/") :], words


SHOWN = sorted({(guide.name, name, " ".join(words)) for guide in GUIDES for name, words in commands(guide)})


@functools.lru_cache(maxsize=None)
def helped(command: str) -> str:
    """What the command's `--help` prints."""
    done = subprocess.run([str(ROOT / "scripts" / command), "--help"], stdout=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == 0
    return done.stdout


def test_commands_are_found() -> None:
    assert {"train", "evaluate", "serve", "launch", "deploy"} <= {name for _, name, _ in SHOWN}


@pytest.mark.parametrize(("guide", "name", "words"), SHOWN, ids=lambda value: str(value))
def test_what_is_shown_can_be_typed(guide: str, name: str, words: str) -> None:
    if not name or "/" in name or "." in name:  # the folder or a file of it, spoken of
        assert (ROOT / "scripts" / name).exists(), f"{guide} names scripts/{name}"
        return
    assert name in COMMANDS, f"{guide} names scripts/{name}"
    typed = words.split(" -- ")[0].split()
    for flag in [word.partition("=")[0] for word in typed if word.startswith("-")]:
        known = re.search(rf"(?<![\w-]){re.escape(flag)}(?![\w-])", helped(name))
        assert known, f"{guide}: scripts/{name} has no {flag}"
    after = dict(zip(typed[1:], typed))
    settings = [word for word in typed if "=" in word and word[0] != "-" and after.get(word) != "--channel"]
    if name in TAKES_SETTINGS and settings and "--program" not in typed:
        check_settings(settings, typed)


def check_settings(settings: List[str], typed: List[str]) -> None:
    """Raises UserError for settings that the job would refuse; `KEY=VALUE` stands for any."""
    given = [word for word in settings if word != "KEY=VALUE"]
    experiment = next((word for word in typed if word in EXPERIMENTS), Settings.experiment)
    try:
        parse({"experiment": experiment, **assignments(given)}, machine=None)
    except UserError:
        parse_evaluation(assignments(given, str))


def anchors(guide: Path) -> Set[str]:
    """The anchors that GitHub gives the headings of a guide."""
    text = re.sub(r"^```.*?^```", "", guide.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def targets(guide: Path) -> Set[str]:
    """What a guide links to and shows, but for other sites."""
    text = guide.read_text(encoding="utf-8")
    found = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'(?:src|href)="([^"]+)"', text)
    return {target for target in found if "://" not in target}


@pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: guide.name)
def test_a_guide_links_to_what_is_there(guide: Path) -> None:
    for target in targets(guide):
        name, _, anchor = target.partition("#")
        file = guide.parent / name if name else guide
        assert file.exists(), f"{guide.name} links to {target}"
        assert not anchor or anchor in anchors(file), f"{guide.name} links to {target}: no such heading"


def test_the_design_has_a_line_for_every_folder() -> None:
    design = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    tree, layers = (re.findall(r"^(?:  )?(\w+)/ ", block, re.MULTILINE) for block in design.split("```")[1:4:2])
    packages = [file.parent for file in (ROOT / "rl_app").rglob("__init__.py")]
    assert {folder.name for folder in packages} - {"rl_app", "fast", "dense", "contract", "media_types"} <= set(layers)
    known = {path.name for path in [*ROOT.iterdir(), *(ROOT / "scripts").iterdir(), *packages] if path.is_dir()}
    assert set(tree) | set(layers) <= known
    assert {"rl_app", "scripts", "tests", "docs", "docker", "examples", "benchmarks", "findings"} <= set(tree)


def test_every_guide_is_linked_from_the_readme() -> None:
    linked = {(ROOT / target.partition("#")[0]).resolve() for target in targets(README)}
    assert {guide.name for guide in GUIDES if guide != README and guide.resolve() not in linked} == set()


def test_the_readme_is_short_and_its_picture_small() -> None:
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 130
    (picture,) = [ROOT / target for target in targets(README) if target.endswith((".png", ".jpg"))]
    assert picture.stat().st_size <= 150 * 1024


def test_the_readme_names_every_command() -> None:
    table = README.read_text(encoding="utf-8").partition("## Commands")[2].partition("\n## ")[0]
    named = {name for row in table.splitlines() if row.startswith("| `") for name in re.findall("`scripts/(.+?)`", row)}
    assert named == set(COMMANDS)


SAMPLES = [
    pytest.param(line, id=f"{guide.name}-{line.split()[1]}")
    for guide in GUIDES
    for line in guide.read_text(encoding="utf-8").splitlines()
    if re.match(r"iteration +\d", line)
]


@pytest.mark.parametrize("line", SAMPLES)
def test_a_line_of_sample_output_is_what_is_printed(line: str) -> None:
    number, reward, _, steps, speed, seconds = re.split(r" {2,}", line.replace("iteration ", "", 1).strip())
    row = {
        "training_iteration": int(number),
        "episode_reward_mean": float(reward.split()[1]),
        "timesteps_total": int(steps.split()[0]),
        "steps_per_s": float(speed.split()[0]),
        "time_total_s": float(seconds.split()[0]),
    }
    assert compact_line(row, EXPERIMENTS["cartpole"].trial["stop"], 120) == line


def test_each_variable_of_compose_has_its_row_with_its_default() -> None:
    guide = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    compose = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    rows = [row.split(" | ") for row in guide.splitlines() if row.startswith("| `")]
    for name, default in sorted(set(re.findall(r"\$\{(\w+):-([^}]*)\}", compose)) - {("IMAGE_POLICY", "build")}):
        (row,) = [row for row in rows if f"`{name}`" in row[0] and name.isupper()]
        assert not default or f"`{default}`" in row[1], f"{name} is {default} where it is not set"


def test_each_setting_of_the_server_has_its_row() -> None:
    guide = (ROOT / "docs" / "serving.md").read_text(encoding="utf-8")
    source = "".join(file.read_text(encoding="utf-8") for file in sorted((ROOT / "rl_app").rglob("serve.py")))
    names = set(re.findall(r'"(SERVE_[A-Z_]+)"', source))
    assert {"SERVE_MAX_BODY_MB", "SERVE_DRAIN_S"} <= names
    assert {name for name in names if f"| `{name}` |" not in guide} == set()
