"""CPUs by affinity and cgroup, GPUs by nvidia-smi."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Mapping, Optional

import pytest

from rl_app import machine


def cpus(tmp_path: Path, membership: str, files: Mapping[str, str]) -> int:
    for name, text in files.items():
        (tmp_path / "cgroup" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "cgroup" / name).write_text(text)
    (tmp_path / "self").write_text(membership)
    return machine.detect(tmp_path / "cgroup", tmp_path / "self").cpus


@pytest.fixture(autouse=True)
def many_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(64)))


@pytest.fixture(autouse=True)
def with_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    """The TensorFlow of the GPU image, and no limit on what it sees."""
    monkeypatch.setattr(machine, "has_cuda", lambda: True)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@pytest.mark.parametrize(
    ("membership", "files", "expected"),
    [
        ("0::/\n", {"cpu.max": "200000 100000\n"}, 2),
        ("0::/\n", {"cpu.max": "250000 100000\n"}, 2),
        ("0::/\n", {"cpu.max": "50000 100000\n"}, 1),
        ("0::/\n", {"cpu.max": "max 100000\n"}, 64),
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000\n", "a/cpu.max": "300000 100000\n"}, 3),
        ("0::/a/b\n", {"a/b/cpu.max": "400000 100000\n", "a/cpu.max": "800000 100000\n"}, 4),
        ("0::/not/seen/from/inside\n", {"cpu.max": "500000 100000\n"}, 5),
        (
            "7:memory:/\n3:cpu,cpuacct:/docker/1\n",
            {"cpu/cpu.cfs_quota_us": "600000\n", "cpu/cpu.cfs_period_us": "100000\n"},
            6,
        ),
        ("3:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 64),
        ("", {}, 64),
    ],
)
def test_cpus_are_those_of_the_cgroup(tmp_path: Path, membership: str, files: Mapping[str, str], expected: int) -> None:
    assert cpus(tmp_path, membership, files) == expected


def test_affinity_counts_where_it_is_less_than_the_quota(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 3, 5})

    assert cpus(tmp_path, "0::/\n", {"cpu.max": "800000 100000\n"}) == 3


def nvidia_smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> int:
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    return machine.detect().gpus


def test_gpus_are_those_that_nvidia_smi_lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = '[ "$*" = --list-gpus ] && printf "GPU 0: A (UUID: a)\\n  MIG 1g.5gb\\nGPU 1: A (UUID: b)\\n"'

    assert nvidia_smi(tmp_path, monkeypatch, listed) == 2


def test_a_failing_nvidia_smi_is_no_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert nvidia_smi(tmp_path, monkeypatch, 'echo "GPU 0: no driver"; exit 9') == 0


def test_a_hanging_nvidia_smi_is_no_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "NVIDIA_SMI_DEADLINE_S", 0.2)

    assert nvidia_smi(tmp_path, monkeypatch, "exec tail -f /dev/null") == 0


def test_without_nvidia_smi_there_is_no_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    assert machine.detect().gpus == 0


TWO_GPUS = 'printf "GPU 0: A (UUID: a)\\nGPU 1: A (UUID: b)\\n"'


@pytest.mark.parametrize(
    ("visible", "expected"), [("1", 1), ("0,1", 2), ("1,0,7", 2), ("", 0), ("-1", 0), ("1,-1,0", 1), ("GPU-b", 1)]
)
def test_gpus_that_the_process_may_not_see_do_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, visible: str, expected: int
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)

    assert nvidia_smi(tmp_path, monkeypatch, TWO_GPUS) == expected


def test_without_cuda_no_gpu_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "has_cuda", lambda: False)

    assert nvidia_smi(tmp_path, monkeypatch, TWO_GPUS) == 0


@pytest.mark.parametrize("file", ["memory.max", "memory/memory.limit_in_bytes"])
@pytest.mark.parametrize(
    ("limit", "expected"), [("1073741824\n", 1024**3), ("max\n", None), (f"{2**63 - 4096}\n", None)]
)
def test_memory_is_that_of_the_cgroup(tmp_path: Path, file: str, limit: str, expected: Optional[int]) -> None:
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text(limit)

    assert machine.memory(tmp_path) == (expected or machine.physical_memory())
