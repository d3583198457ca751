"""A program's requirements.txt against what is installed: held, or the user's own. Real pip, a wheel made by hand."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path
from typing import List, Optional

import pytest

from rl_app.errors import UserError
from rl_app.job import requirements, sagemaker
from rl_app.job.sagemaker import Paths
from tests.ports import free_port

OURS = metadata.version("tabulate")


def wheel(folder: Path, version: str, name: str = "tabulate") -> Path:
    """A package as a wheel; by default one of the image's, in another version."""
    file = folder / f"{name}-{version}-py3-none-any.whl"
    about = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(file, "w") as packed:
        packed.writestr(f"{name}.py", f"__version__ = {version!r}\n")
        packed.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        packed.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        packed.writestr(f"{about}/RECORD", "")
    return file


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "requirements.txt").write_text(f"{wheel(tmp_path, '0.0.1')}\n")
    return tmp_path


@pytest.mark.parametrize("whose", [None, requirements.HELD, requirements.MINE])
def test_a_package_that_lies_beside_its_requirements_is_found_there(
    whose: Optional[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "requirements.txt").write_text(f"./{wheel(source, '1.0', 'ownmaze').name}\n")
    monkeypatch.chdir(tmp_path)
    modules = requirements.install(Path("source"), Path("packages"), whose)
    assert modules is not None and (modules / "ownmaze.py").exists()


def test_it_is_said_that_it_takes_its_time_and_what_came_of_it(tmp_path: Path) -> None:
    said: List[str] = []
    (tmp_path / "requirements.txt").write_text(f"./{wheel(tmp_path, '1.0', 'ownmaze').name}\n")
    requirements.install(tmp_path, tmp_path / "packages", say=said.append)
    first, last = said
    assert first == "requirements.txt: installing what it asks for"
    assert re.fullmatch(r"requirements\.txt: ownmaze 1\.0, after \d+ s", last)


def test_an_installer_that_does_not_end_is_not_waited_for(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requirements, "INSTALL_DEADLINE_S", 0.01)
    with pytest.raises(UserError, match=f"^{source}/requirements.txt: pip has not ended in 0 s$"):
        requirements.install(source, source / "packages")


EDITABLE = """
[build-system]
requires = ["setuptools>=64"]
build-backend = "setuptools.build_meta"
[project]
name = "ownmaze"
version = "1.0"
[tool.setuptools]
packages = ["ownmaze"]
"""


@pytest.mark.parametrize("whose", [None, requirements.HELD, requirements.MINE])
def test_a_package_that_is_installed_as_it_lies_there_is_found_by_all_processes(
    whose: Optional[str], tmp_path: Path
) -> None:
    (tmp_path / "maze" / "ownmaze").mkdir(parents=True)
    (tmp_path / "maze" / "other").mkdir()
    (tmp_path / "maze" / "ownmaze" / "__init__.py").write_text("SIZE = 3\n")
    (tmp_path / "maze" / "pyproject.toml").write_text(EDITABLE)
    (tmp_path / "requirements.txt").write_text("-e ./maze\n")
    code = (
        "import subprocess, sys; from pathlib import Path; from rl_app.job import user_code\n"
        f"user_code.install_requirements(Path({str(tmp_path)!r}), Path({str(tmp_path / 'packages')!r}), {whose!r})\n"
        "see = 'import ownmaze; print(ownmaze.SIZE)'\n"
        f"{'' if whose == requirements.MINE else 'exec(see)'}\n"
        "sys.stdout.flush()\n"
        "subprocess.run([sys.executable, '-c', see], check=True)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    lines = done.stdout.splitlines()[2:]
    assert lines == ["3"] * (1 if whose == requirements.MINE else 2), done


def test_an_index_that_cannot_be_reached_is_named_as_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{free_port()}/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")
    (tmp_path / "requirements.txt").write_text("ownmaze==1.0\n")
    with pytest.raises(UserError, match=r"; the index of packages cannot be reached \(NewConnectionError\)$"):
        requirements.install(tmp_path, tmp_path / "packages")


def test_a_programs_conflict_is_told_with_the_setting_that_ends_it(source: Path) -> None:
    with pytest.raises(UserError) as refused:
        requirements.install(source, source / "packages", requirements.HELD)
    assert f"the image holds tabulate=={OURS}; sagemaker_requirements=mine installs it" in str(refused.value)


def test_the_built_in_job_has_no_such_choice(source: Path) -> None:
    with pytest.raises(UserError) as refused:
        requirements.install(source, source / "packages")
    assert str(refused.value).endswith(f"the image holds tabulate=={OURS}")


def test_ones_own_version_is_found_by_programs_alone_and_said(source: Path) -> None:
    modules = requirements.install(source, source / "packages", requirements.MINE)
    there = {**os.environ, "PYTHONPATH": str(modules)}
    asked = [sys.executable, "-c", "import tabulate, psutil; print(tabulate.__version__)"]
    assert subprocess.run(asked, env=there, stdout=subprocess.PIPE, text=True, check=True).stdout == "0.0.1\n"
    assert metadata.version("tabulate") == OURS, "the image's own is where it was"
    assert requirements.notes(source / "packages") == [
        f"WARNING: requirements.txt has tabulate 0.0.1 in place of the image's {OURS}: "
        "this image was tested with its own"
    ]


def test_what_breaks_is_said_where_it_is_known() -> None:
    assert set(requirements.BREAKS) <= set(requirements.installed())


def contract(base: Path, **hyperparameters: str) -> sagemaker.Contract:
    config = base / "input" / "config"
    config.mkdir(parents=True)
    (config / "resourceconfig.json").write_text(json.dumps({"current_host": "algo-1", "hosts": ["algo-1"]}))
    (config / "hyperparameters.json").write_text(json.dumps(hyperparameters))
    return sagemaker.read_config(Paths(base), {})


@pytest.mark.parametrize("given, whose", [({}, "held"), ({"sagemaker_requirements": '"mine"'}, "mine")])
def test_a_program_says_whose_versions_count(tmp_path: Path, given: dict, whose: str) -> None:
    assert requirements.whose(contract(tmp_path, sagemaker_program="train.py", **given)) == whose


@pytest.mark.parametrize(
    "given, said",
    [
        ({"sagemaker_requirements": "yours"}, "sagemaker_requirements = yours: must be held or mine"),
        ({"sagemaker_requirements": "mine"}, "sagemaker_requirements = mine: goes with a program of your own; "),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path: Path, given: dict, said: str) -> None:
    with pytest.raises(UserError) as refused:
        requirements.whose(contract(tmp_path, **given))
    assert str(refused.value).startswith(said)
