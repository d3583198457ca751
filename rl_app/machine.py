"""What this machine gives a job: CPUs and GPUs, as its container is limited to them; and its processes."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from dataclasses import dataclass
from importlib import metadata
from itertools import takewhile
from pathlib import Path
from typing import Iterator, List, NamedTuple, Optional, Sequence, Tuple

CGROUPS = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")
NVIDIA_SMI_DEADLINE_S = 20.0
VISIBLE_DEVICES = "CUDA_VISIBLE_DEVICES"
"""What CUDA reads: the GPUs that a process may see, by number or UUID; unset, all of them."""
NO_DEVICE = ("", "-1", "NoDevFiles")


@dataclass(frozen=True)
class Machine:
    """CPUs (at least 1) and GPUs that a job may use: of one machine, or of the several ``hosts`` of a cluster."""

    cpus: int
    gpus: int
    hosts: Tuple[Host, ...] = ()

    @property
    def parts(self) -> Tuple[Host, ...]:
        """Return the machines that it is made of, that of the trainer first."""
        return self.hosts or (Host("", self.cpus, self.gpus),)

    def has(self, what: str) -> str:
        """Say how many CPUs or GPUs there are, as a sentence begins."""
        return f"{'the hosts have' if self.hosts else 'this machine has'} {self._count(what)}"

    def whose(self, what: str) -> str:
        """Say the same inside a sentence."""
        return f"{'the hosts' if self.hosts else 'this machine'}'{'' if self.hosts else 's'} {self._count(what)}"

    def _count(self, what: str) -> str:
        counts = [(host.name, host.cpus if what == "CPUs" else host.gpus) for host in self.parts]
        listed = f" ({', '.join(f'{name}: {count}' for name, count in counts)})" if self.hosts else ""
        return f"{sum(count for _, count in counts)} {what}{listed}"


class Host(NamedTuple):
    """One machine of a cluster."""

    name: str
    cpus: int
    gpus: int


def cluster(hosts: Sequence[Host]) -> Machine:
    """Return all that the hosts have; the first is the trainer's."""
    return Machine(sum(host.cpus for host in hosts), sum(host.gpus for host in hosts), tuple(hosts))


def detect(cgroups: Path = CGROUPS, membership: Path = MEMBERSHIP) -> Machine:
    """Return the CPUs of this process's affinity, at most its cgroup's quota rounded down; the GPUs that a job can use.

    Those are nvidia-smi's, as far as CUDA_VISIBLE_DEVICES lets this process see them, and none without CUDA.
    """
    return Machine(cpus_of_process(cgroups, membership), len(devices(_gpus())) if has_cuda() else 0)


def cpus_of_process(cgroups: Path = CGROUPS, membership: Path = MEMBERSHIP) -> int:
    """Return how many of them this process may use, at least 1."""
    return max(1, min([_affinity(), *(int(quota) for quota in _quotas(cgroups, membership))]))


def has_cuda() -> bool:
    """Return whether the TensorFlow that is installed is the one for GPUs: tensorflow-cpu has another name."""
    try:
        metadata.version("tensorflow")
    except metadata.PackageNotFoundError:
        return False
    return True


def devices(gpus: int) -> List[str]:
    """Return those of so many GPUs that this process may see, as CUDA_VISIBLE_DEVICES names them."""
    visible = os.environ.get(VISIBLE_DEVICES)
    names = [str(number) for number in range(gpus)] if visible is None else visible.split(",")
    return list(takewhile(lambda name: name.strip() not in NO_DEVICE, names))[:gpus]


def physical_memory() -> int:
    """Return the bytes of the machine's memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def memory(cgroups: Path = CGROUPS) -> int:
    """Return the bytes of memory that this process may have: the machine's, or what its container is limited to."""
    limits = (_read(cgroups / name).strip() for name in ("memory.max", "memory/memory.limit_in_bytes"))
    return min([physical_memory(), *(int(limit) for limit in limits if limit.isdigit())])


def nvidia_smi(*words: str) -> List[str]:
    """Return the lines that nvidia-smi prints; none where there is no nvidia-smi, or no driver for it to ask."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    try:
        asked = subprocess.run(
            [program, *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=NVIDIA_SMI_DEADLINE_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    return asked.stdout.decode("utf-8", "replace").splitlines() if asked.returncode == 0 else []


def _affinity() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1  # macOS and Windows have no affinity


def _quotas(cgroups: Path, membership: Path) -> Iterator[float]:
    """Yield the CPU quotas, in CPUs, of the process's cgroup and of all above it, of either version."""
    for line in _read(membership).splitlines():
        _, controllers, group = line.split(":", 2)
        if controllers == "":
            for directory in _upwards(cgroups, group):
                yield from _cpus(*_read(directory / "cpu.max").split())
        elif "cpu" in controllers.split(","):
            for directory in _upwards(cgroups / "cpu", group):
                yield from _cpus(_read(directory / "cpu.cfs_quota_us"), _read(directory / "cpu.cfs_period_us"))


def _upwards(root: Path, group: str) -> Iterator[Path]:
    """Yield the directories from ``group`` up to ``root``, which may be all that a container sees."""
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
    return sum(line.startswith("GPU ") for line in nvidia_smi("--list-gpus"))


# ---- processes, as one of them and another program name them ----


def unless_ignored(number: signal.Signals) -> List[signal.Signals]:
    """Return the signal to be caught; not where whoever started this process has it ignored, as nohup has SIGHUP."""
    return [] if signal.getsignal(number) == signal.SIG_IGN else [number]


def process_space() -> str:
    """Return what the numbers of processes hold good in: one boot of a machine, one container."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot}/{os.stat('/proc/self/ns/pid').st_ino}"


def started_at(pid: int) -> Optional[str]:
    """Return when a process started (ticks since boot): its number alone may come again. None where it has ended."""
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if state == "Z" else fields[18]
