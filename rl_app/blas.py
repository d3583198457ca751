"""By which kernels numpy's BLAS multiplies."""

from __future__ import annotations

import os
from pathlib import Path
from typing import MutableMapping

CPU_INFO = Path("/proc/cpuinfo")
KERNELS = "OPENBLAS_CORETYPE"
"""What OpenBLAS reads when it is loaded: whose kernels to take."""
BY_FLAGS = (("SkylakeX", {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}), ("Haswell", {"avx2", "fma"}))


def choose_kernels(environ: MutableMapping[str, str] = os.environ, cpu_info: Path = CPU_INFO) -> None:
    """Have numpy, which is not imported yet, use the widest vectors that this processor says it has.

    Its OpenBLAS, 0.3.20, goes by the processor's model, and takes one that is newer than itself for one of 2004: a
    product of 128 x 64 by 64 x 64 takes five times as long as it could on a Xeon of 2023, and twice on AMD's Zen 5. Of
    the models that it knows the kernels are these, or as fast.
    """
    try:
        about = cpu_info.read_text()
    except OSError:  # a system that has no such file
        return
    flags = {word for line in about.splitlines() if line.startswith("flags") for word in line.split()}
    for kernels, needed in BY_FLAGS:
        if flags >= needed:
            environ.setdefault(KERNELS, kernels)
            return
