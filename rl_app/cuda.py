"""CUDA as TensorFlow finds it: the GPUs and their driver, what its kernels reach, and its libraries."""

from __future__ import annotations

import ctypes
import re
from dataclasses import dataclass
from typing import List, Optional, Sequence, Tuple

from rl_app.machine import nvidia_smi

DRIVER = "libcuda.so.1"
# What TensorFlow opens by name at its first use of a GPU, and, after libcudnn.so.8, what that opens in its turn.
LIBRARIES = (
    *("libcudart.so.11.0", "libcublas.so.11", "libcublasLt.so.11", "libcufft.so.10", "libcurand.so.10"),
    *("libcusolver.so.11", "libcusparse.so.11", "libcudnn.so.8", "libcudnn_ops_infer.so.8", "libcudnn_ops_train.so.8"),
    *("libcudnn_cnn_infer.so.8", "libcudnn_cnn_train.so.8"),
)
# The newest that cuBLAS and cuDNN of CUDA 11.8 hold machine code for: Hopper.
NEWEST = (9, 0)

Capability = Tuple[int, int]


@dataclass(frozen=True)
class Gpu:
    """A GPU as nvidia-smi describes it; ``capability`` is None where the driver is too old to say."""

    name: str
    driver: str
    capability: Optional[Capability]
    memory_mib: int


def gpus() -> List[Gpu]:
    """Return the GPUs of this container, or of this machine."""
    common = "name,driver_version,memory.total"
    # nvidia-smi refuses the whole query where it does not know one field
    told = _query(f"{common},compute_cap") or _query(common)
    return [Gpu(name, driver, _capability(rest), int(memory)) for name, driver, memory, *rest in told]


def _query(fields: str) -> List[List[str]]:
    lines = nvidia_smi(f"--query-gpu={fields}", "--format=csv,noheader,nounits")
    return [[cell.strip() for cell in line.split(",")] for line in lines]


def _capability(cells: Sequence[str]) -> Optional[Capability]:
    found = re.fullmatch(r"(\d+)\.(\d+)", cells[0]) if cells else None
    return (int(found.group(1)), int(found.group(2))) if found else None


def reach(capability: Capability, built: Sequence[str]) -> str:
    """Return how a TensorFlow built for these (``sm_75``, …) reaches a GPU: ``native``, ``JIT`` or ``no``.

    Machine code runs on what has the same major number and no smaller minor one; of ``compute_80`` there is PTX
    besides, which the driver compiles for what is newer.
    """
    kernels = [_built(name) for name in built]
    if any(major == capability[0] and minor <= capability[1] for major, minor in kernels):
        return "native"
    intermediate = [_built(name) for name in built if name.startswith("compute_")]
    return "JIT" if any(kernel <= capability <= NEWEST for kernel in intermediate) else "no"


def _built(name: str) -> Capability:
    number = name.rpartition("_")[2]
    return int(number[:-1]), int(number[-1])


def oldest_driver(capability: Capability, how: str) -> str:
    """Return the oldest driver of Linux that takes what TensorFlow 2.13.1 hands it for such a GPU.

    For 8.x its small kernels are PTX of CUDA 11.1, for 9.x all of them PTX of CUDA 11.8; machine code runs on any
    driver of CUDA 11.
    """
    if how == "JIT":
        return "520.61.05"
    return "455.23" if capability >= (8, 0) else "450.80.02"


def is_older(driver: str, than: str) -> bool:
    """Return whether a driver's version is smaller."""
    return _numbers(driver) < _numbers(than)


def _numbers(version: str) -> List[int]:
    return [int(number) for number in re.findall(r"\d+", version)]


def why_not_loaded(library: str) -> Optional[str]:
    """Return the dynamic linker's reason why a library cannot be opened; None where it can."""
    try:
        ctypes.CDLL(library)
    except OSError as error:
        return str(error)
    return None
