"""By which kernels numpy's BLAS multiplies."""

from __future__ import annotations

import os
from pathlib import Path
from typing import MutableMapping

CPU_INFO = Path("/proc/cpuinfo")
KERNELS = "OPENBLAS_CORETYPE"
"""What OpenBLAS reads when it is loaded: whose kernels to take."""
WIDE = {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}


def choose_kernels(environ: MutableMapping[str, str] = os.environ, cpu_info: Path = CPU_INFO) -> None:
    """Have numpy, which is not imported yet, use AMD's AVX-512 (Zen 4 and later).

    Its OpenBLAS, 0.3.20, uses that of Intel's processors alone; on others a product of 128 x 64 by 64 x 64 takes twice
    as long as it could.
    """
    try:
        about = cpu_info.read_text()
    except OSError:  # a system that has no such file
        return
    flags = {word for line in about.splitlines() if line.startswith("flags") for word in line.split()}
    if "AuthenticAMD" in about and flags >= WIDE:
        environ.setdefault(KERNELS, "SkylakeX")
