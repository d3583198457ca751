"""What this machine gives a job: CPUs and GPUs, as its container is limited to them."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator

CGROUPS = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")
NVIDIA_SMI_DEADLINE_S = 20.0


@dataclass(frozen=True)
class Machine:
    """CPUs (at least 1) and GPUs that a job may use."""

    cpus: int
    gpus: int


def detect(cgroups: Path = CGROUPS, membership: Path = MEMBERSHIP) -> Machine:
    """The CPUs of this process's affinity, at most its cgroup's quota rounded down; nvidia-smi's GPUs."""
    cpus = [_affinity(), *(int(quota) for quota in _quotas(cgroups, membership))]
    return Machine(max(1, min(cpus)), _gpus())


def _affinity() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1  # macOS and Windows have no affinity


def _quotas(cgroups: Path, membership: Path) -> Iterator[float]:
    """The CPU quotas, in CPUs, of the process's cgroup and of all above it, of either version."""
    for line in _read(membership).splitlines():
        _, controllers, group = line.split(":", 2)
        if controllers == "":
            for directory in _upwards(cgroups, group):
                yield from _cpus(*_read(directory / "cpu.max").split())
        elif "cpu" in controllers.split(","):
            for directory in _upwards(cgroups / "cpu", group):
                yield from _cpus(_read(directory / "cpu.cfs_quota_us"), _read(directory / "cpu.cfs_period_us"))


def _upwards(root: Path, group: str) -> Iterator[Path]:
    """The directories from ``group`` up to ``root``, which may be all that a container sees."""
    inside = Path(group.strip("/"))
    for part in (inside, *inside.parents):
        yield root / part


def _cpus(quota: str = "", period: str = "") -> Iterator[float]:
    # "max" in version 2 and "-1" in version 1 are no limit
    if quota.strip().isdigit() and period.strip().isdigit():
        yield int(quota) / int(period)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def _gpus() -> int:
    program = shutil.which("nvidia-smi")
    if program is None:
        return 0
    try:
        listed = subprocess.run(
            [program, "--list-gpus"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=NVIDIA_SMI_DEADLINE_S,
        )
    except (OSError, subprocess.TimeoutExpired):
        return 0
    # Without a driver nvidia-smi is there and fails
    lines = listed.stdout.splitlines() if listed.returncode == 0 else []
    return sum(line.startswith(b"GPU ") for line in lines)
