"""What nvidia-smi says, which GPUs TensorFlow's kernels reach, and which driver that takes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Callable

import pytest

from rl_app import cuda
from rl_app.cuda import Gpu

BUILT = ["sm_35", "sm_50", "sm_60", "sm_70", "sm_75", "compute_80"]  # TensorFlow 2.13.1's
WITH_CAPABILITY = "--query-gpu=name,driver_version,memory.total,compute_cap --format=csv,noheader,nounits"
WITHOUT = "--query-gpu=name,driver_version,memory.total --format=csv,noheader,nounits"

Install = Callable[[str], None]


@pytest.fixture
def nvidia_smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Puts a program of that name first on PATH."""

    def install(script: str) -> None:
        program = tmp_path / "nvidia-smi"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    return install


def test_each_line_of_nvidia_smi_is_a_gpu(nvidia_smi: Install) -> None:
    nvidia_smi(
        f'[ "$*" = "{WITH_CAPABILITY}" ] || exit 2\n'
        'echo "Tesla T4, 535.183.01, 15360, 7.5"\n'
        'echo "NVIDIA A100-SXM4-40GB, 535.183.01, 40960, 8.0"'
    )

    assert cuda.gpus() == [
        Gpu("Tesla T4", "535.183.01", (7, 5), 15360),
        Gpu("NVIDIA A100-SXM4-40GB", "535.183.01", (8, 0), 40960),
    ]


def test_an_old_driver_that_does_not_know_capabilities_still_names_its_gpus(nvidia_smi: Install) -> None:
    nvidia_smi(
        f'[ "$*" = "{WITHOUT}" ] && echo "Tesla V100-SXM2-16GB, 450.142.00, 16160" && exit\n'
        "echo 'Field \"compute_cap\" is not a valid field to query.'; exit 2"
    )

    assert cuda.gpus() == [Gpu("Tesla V100-SXM2-16GB", "450.142.00", None, 16160)]


def test_without_a_driver_there_are_none(nvidia_smi: Install) -> None:
    nvidia_smi('echo "NVIDIA-SMI has failed because it couldn\'t communicate with the NVIDIA driver."; exit 9')

    assert cuda.gpus() == []


@pytest.mark.parametrize(
    ("gpu", "capability", "how", "driver"),
    [
        ("K80", (3, 7), "native", "450.80.02"),
        ("M60", (5, 2), "native", "450.80.02"),
        ("P100", (6, 0), "native", "450.80.02"),
        ("V100", (7, 0), "native", "450.80.02"),
        ("T4", (7, 5), "native", "450.80.02"),
        ("A100", (8, 0), "native", "455.23"),
        ("A10G", (8, 6), "native", "455.23"),
        ("L4", (8, 9), "native", "455.23"),
        ("H100", (9, 0), "JIT", "520.61.05"),
    ],
)
def test_how_a_gpu_is_reached(gpu: str, capability: cuda.Capability, how: str, driver: str) -> None:
    assert cuda.reach(capability, BUILT) == how
    assert cuda.oldest_driver(capability, how) == driver


@pytest.mark.parametrize("capability", [(3, 0), (10, 0), (12, 0)])
def test_what_is_too_old_or_too_new_is_not_reached(capability: cuda.Capability) -> None:
    assert cuda.reach(capability, BUILT) == "no"


def test_without_intermediate_code_nothing_newer_is_reached() -> None:
    assert cuda.reach((9, 0), ["sm_70", "sm_80"]) == "no"


@pytest.mark.parametrize(
    ("driver", "than", "older"),
    [
        ("450.80.02", "450.80.02", False),
        ("450.80.01", "450.80.02", True),
        ("520.56.06", "520.61.05", True),
        ("1000.1", "520.61.05", False),
    ],
)
def test_drivers_are_compared_by_number(driver: str, than: str, older: bool) -> None:
    assert cuda.is_older(driver, than) is older


def test_a_library_that_cannot_be_opened_says_why() -> None:
    assert cuda.why_not_loaded("libc.so.6") is None
    assert cuda.why_not_loaded("libno-such.so.1") == (
        "libno-such.so.1: cannot open shared object file: No such file or directory"
    )
