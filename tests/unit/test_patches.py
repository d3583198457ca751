"""The image's patches of packages, on copies of the real ones."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import gym

PATCH = Path(__file__).parents[2] / "docker" / "patches.py"
BOX = "gym/spaces/box.py"
ASKS = """
import numpy as np
from gym import spaces

box = spaces.Box(-1.0, 1.0, (2,), np.float32)
print(box.contains(np.zeros(2)), spaces.Box(0, 9, (1,), np.uint32).contains(np.array([3])))
print(box.contains(np.full(2, 7.0)), box.contains(np.zeros(3)))
"""


def asked(packages: Path) -> str:
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", ASKS],
        env={"PYTHONPATH": str(packages), "PYTHONNOUSERSITE": "1"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout


def test_the_dtype_is_not_asked_and_shape_and_bounds_are(tmp_path: Path) -> None:
    shutil.copytree(Path(gym.__file__).parent, tmp_path / "gym")
    assert asked(tmp_path) == "False False\nFalse False\n"
    subprocess.run([sys.executable, str(PATCH), str(tmp_path), BOX], check=True)
    assert asked(tmp_path) == "True True\nFalse False\n"


def test_another_gym_ends_the_build(tmp_path: Path) -> None:
    shutil.copytree(Path(gym.__file__).parent, tmp_path / "gym")
    subprocess.run([sys.executable, str(PATCH), str(tmp_path), BOX], check=True)
    again = subprocess.run([sys.executable, str(PATCH), str(tmp_path), BOX], stderr=subprocess.PIPE, text=True)
    assert again.returncode == 1
    assert "the text to replace is not there" in again.stderr
