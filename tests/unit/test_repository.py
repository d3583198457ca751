"""What holds for the repository as a whole: its locks, its scripts, format, lint and types."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Dict, List, Tuple

import pytest

from scripts.lib.environments import ROOT

LOCKS = sorted(path for folder in ("docker", "benchmarks") for path in (ROOT / folder / "requirements").glob("*.txt"))
NAMES = [lock.stem for lock in LOCKS]
COMMANDS = sorted(path for path in (ROOT / "scripts").iterdir() if path.is_file() and not path.suffix)


def shell_scripts() -> List[Path]:
    candidates = [path for folder in (".ci", "docker", "scripts", "benchmarks") for path in (ROOT / folder).rglob("*")]
    starts = (b"#!/bin/sh", b"#!/usr/bin/env bash", b"#!/bin/bash")
    return sorted(path for path in candidates if path.is_file() and path.read_bytes().startswith(starts))


def pins(lock: Path) -> Dict[str, str]:
    """{package: version} of a lock."""
    return dict(re.findall(r"^([a-z0-9][a-z0-9._-]*)==(\S+)", lock.read_text(), re.MULTILINE))


def run(*command: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300)


@pytest.mark.parametrize("lock", LOCKS, ids=NAMES)
def test_every_package_of_a_lock_has_its_hashes(lock: Path) -> None:
    entries = re.split(r"^(?=\S)", re.sub(r"^\s*#.*\n", "", lock.read_text(), flags=re.MULTILINE), flags=re.MULTILINE)
    entries = [entry for entry in entries if entry.strip()]
    assert entries
    bad = [
        entry.split()[0]
        for entry in entries
        if not re.match(r"\S+==\S+.*\\\n(    --hash=sha256:[0-9a-f]{64}( \\)?\n)+$", entry)
    ]
    assert bad == []


@pytest.mark.parametrize("lock", LOCKS, ids=NAMES)
def test_a_lock_names_no_host_and_no_path_of_a_machine(lock: Path) -> None:
    text = lock.read_text() + lock.with_suffix(".in").read_text()
    assert re.findall(r"\S*://\S*|--(?:extra-)?index-url|--find-links|\s[/~]\S*|file:\S*", text) == []


def listed_in(file: Path) -> List[Tuple[str, str]]:
    """The packages of a list and their versions, with those of the lists that it takes in."""
    text = file.read_text()
    below = [file.parent / name for name in re.findall(r"^-r (\S+)", text, re.MULTILINE)]
    own = re.findall(r"^([a-z0-9][a-z0-9._-]*)(?:==(\S+))?", text, re.MULTILINE)
    return [*own, *(package for taken in below for package in listed_in(taken))]


@pytest.mark.parametrize("lock", LOCKS, ids=NAMES)
def test_a_lock_is_made_from_its_list(lock: Path) -> None:
    listed = listed_in(lock.with_suffix(".in"))
    locked = pins(lock)
    assert listed
    assert [name for name, version in listed if locked.get(name) != (version or locked.get(name, ""))] == []
    assert f"{lock.stem}.txt {lock.stem}.in" in lock.read_text().splitlines()[1], "how it is made is at its top"


def test_the_test_lock_agrees_with_the_image_lock() -> None:
    image, test = (pins(ROOT / "docker" / "requirements" / name) for name in ("image-cpu.txt", "test.txt"))
    shared = {name: (image[name], test[name]) for name in image.keys() & test.keys()}
    assert shared, "the tests' tools share packages with what they test"
    assert {name: versions for name, versions in shared.items() if versions[0] != versions[1]} == {}


def test_the_gpu_image_holds_what_the_cpu_image_holds_but_for_tensorflow() -> None:
    cpu, gpu = (pins(ROOT / "docker" / "requirements" / f"image-{flavor}.txt") for flavor in ("cpu", "gpu"))
    assert gpu.pop("tensorflow") == cpu.pop("tensorflow-cpu")
    cuda = {name for name in gpu if name.startswith("nvidia-")}
    assert {name: version for name, version in gpu.items() if name not in cuda} == cpu
    assert all(name.endswith("-cu11") for name in cuda) and len(cuda) == 8


def test_below_the_marker_the_dockerfiles_are_the_same() -> None:
    marker = "# ---- the same for CPU and GPU from here on ----\n"
    parts = [(ROOT / f"Dockerfile.{flavor}").read_text().partition(marker) for flavor in ("cpu", "gpu")]
    (cpu, found, below), (gpu, _, below_gpu) = parts
    assert found and below == below_gpu
    for above, flavor in ((cpu, "cpu"), (gpu, "gpu")):
        assert re.findall("^FROM .*|^ARG .*", above, re.MULTILINE) == [
            "FROM python:3.8-slim-bookworm AS base",
            f"ARG LOCK=image-{flavor}",
        ]


@pytest.mark.parametrize("path", [*COMMANDS, *shell_scripts()], ids=lambda path: str(path.relative_to(ROOT)))
def test_what_is_started_by_name_is_executable(path: Path) -> None:
    assert path.read_bytes().startswith(b"#!")
    assert os.access(path, os.X_OK)


@pytest.mark.parametrize("path", shell_scripts(), ids=lambda path: str(path.relative_to(ROOT)))
def test_shell_scripts_pass_shellcheck(path: Path) -> None:
    checked = run(str(Path(sys.executable).parent / "shellcheck"), str(path))
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize("command", COMMANDS, ids=lambda path: path.name)
def test_help_shows_examples_from_any_directory(command: Path, tmp_path: Path) -> None:
    link = tmp_path / "linked"
    link.symlink_to(command)
    for started in (command, link):
        helped = run(str(started), "--help", cwd=tmp_path)
        assert helped.returncode == 0, helped.stdout
        usage, _, examples = helped.stdout.partition("examples:")
        assert f"scripts/{command.name}" in usage
        assert f"scripts/{command.name}" in examples


@pytest.mark.parametrize(
    "tool", [("ruff", "format", "--check", "--quiet"), ("ruff", "check", "--quiet"), ("mypy",)], ids=" ".join
)
def test_the_source_passes(tool: List[str]) -> None:
    checked = run(sys.executable, "-m", *tool)
    assert checked.returncode == 0, checked.stdout
