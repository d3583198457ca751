"""Which kernels numpy's BLAS is told to take."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Dict

import pytest

from rl_app.blas import KERNELS, choose_kernels

MULTIPLY = """
from rl_app.blas import KERNELS, choose_kernels
choose_kernels()
import os, numpy, threadpoolctl
(blas,) = threadpoolctl.threadpool_info()
print(os.environ.get(KERNELS), blas["architecture"])
"""
WIDE = "avx2 fma avx512f avx512dq avx512cd avx512bw avx512vl"


@pytest.mark.parametrize(
    ("flags", "chosen"),
    [
        (WIDE, "SkylakeX"),
        ("avx2 fma avx512f", "Haswell"),
        ("avx2 fma", "Haswell"),
        ("avx2", None),
        ("avx", None),
    ],
)
def test_the_widest_vectors_are_used(tmp_path: Path, flags: str, chosen: object) -> None:
    about = tmp_path / "cpuinfo"
    about.write_text(f"processor\t: 0\nvendor_id\t: any\nflags\t\t: fpu sse2 {flags}\n\nprocessor\t: 1\n")
    environ: Dict[str, str] = {}
    choose_kernels(environ, about)
    assert environ.get(KERNELS) == chosen


def test_numpy_multiplies_by_what_was_chosen() -> None:
    """In a process of its own: OpenBLAS reads the variable as it is loaded."""
    environ = {name: value for name, value in os.environ.items() if name != KERNELS}
    said = subprocess.check_output([sys.executable, "-c", MULTIPLY], env=environ, text=True)
    chosen, taken = said.split()
    assert chosen in (taken, "None")


def test_what_a_person_has_set_stays(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text(f"vendor_id\t: any\nflags\t\t: {WIDE}\n")
    environ = {KERNELS: "Haswell"}
    choose_kernels(environ, tmp_path / "cpuinfo")
    assert environ == {KERNELS: "Haswell"}


def test_a_system_without_the_file_is_left_alone(tmp_path: Path) -> None:
    environ: Dict[str, str] = {}
    choose_kernels(environ, tmp_path / "none")
    assert not environ
