"""Which kernels numpy's BLAS is told to take."""

from __future__ import annotations

from pathlib import Path
from typing import Dict

import pytest

from rl_app.blas import KERNELS, choose_kernels

WIDE = "avx2 avx512f avx512dq avx512cd avx512bw avx512vl"


@pytest.mark.parametrize(
    ("vendor", "flags", "chosen"),
    [
        ("AuthenticAMD", WIDE, "SkylakeX"),
        ("AuthenticAMD", "avx2 avx512f", None),
        ("AuthenticAMD", "avx2", None),
        ("GenuineIntel", WIDE, None),
    ],
)
def test_amds_wide_vectors_are_used(tmp_path: Path, vendor: str, flags: str, chosen: object) -> None:
    about = tmp_path / "cpuinfo"
    about.write_text(f"processor\t: 0\nvendor_id\t: {vendor}\nflags\t\t: fpu sse2 {flags}\n\nprocessor\t: 1\n")
    environ: Dict[str, str] = {}
    choose_kernels(environ, about)
    assert environ.get(KERNELS) == chosen


def test_what_a_person_has_set_stays(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text(f"vendor_id\t: AuthenticAMD\nflags\t\t: {WIDE}\n")
    environ = {KERNELS: "Haswell"}
    choose_kernels(environ, tmp_path / "cpuinfo")
    assert environ == {KERNELS: "Haswell"}


def test_a_system_without_the_file_is_left_alone(tmp_path: Path) -> None:
    environ: Dict[str, str] = {}
    choose_kernels(environ, tmp_path / "none")
    assert not environ
