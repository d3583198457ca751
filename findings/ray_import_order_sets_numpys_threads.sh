#!/usr/bin/env bash
# What happens: `import ray` of Ray 0.8.5 writes OMP_NUM_THREADS=1 into the process's own environment, without a word. Whether
#   numpy heeds it hangs on the order of two imports: numpy before Ray multiplies matrices on all CPUs, numpy after Ray on one.
#   Every program that the process starts inherits the variable.
# One would have guessed: an import leaves the environment alone, and the order of imports, which formatters sort by name,
#   changes no speed. (numpy comes before ray by name, but after it where it is imported within a function.)
# Where it matters: the same training is several times slower, or fights its own workers for the CPUs, after a line was moved;
#   and a program that trains with PyTorch, started from one that imported Ray, has one thread on a machine of sixteen.
#
# Needs Python 3.8 (PYTHON names it, where it is not python3.8 on PATH), two CPUs and a package index; takes half a minute.
# Exit status: 0 the library still behaves so, 1 it does not.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3.8}" -m venv "$work/env"
"$work/env/bin/pip" install --quiet --disable-pip-version-check 'ray==0.8.5' 'protobuf==3.20.3' 'redis==3.4.1' \
    'numpy==1.23.5' 'aiohttp==3.8.6' 'setuptools==75.3.0' 'six==1.17.0' 'threadpoolctl==3.5.0'
cd "$work"
cat > check.py <<'PYTHON'
import os
import subprocess
import sys

COUNT = """
from threadpoolctl import threadpool_info
print("numpy", max(each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"))
"""
INHERITED = """
import os, subprocess, sys
before = os.environ.get("OMP_NUM_THREADS")
import ray
print(before, subprocess.check_output([sys.executable, "-c", "import os; print(os.environ['OMP_NUM_THREADS'])"], text=True).strip())
"""


def said(code):
    """Give what a new process prints, which has none of the variables that set threads."""
    environ = {key: value for key, value in os.environ.items() if not key.endswith("_NUM_THREADS")}
    return subprocess.check_output([sys.executable, "-c", code], text=True, env=environ).strip()


cpus = len(os.sched_getaffinity(0))
assert cpus > 1, "one CPU shows nothing"
numpy_first = said("import numpy, ray" + COUNT)
ray_first = said("import ray, numpy" + COUNT)
inherited = said(INHERITED)
print(f"{cpus} CPUs; threads with numpy first: {numpy_first}; with ray first: {ray_first}; before and in a child: {inherited}")
assert numpy_first == f"numpy {cpus}", numpy_first
assert ray_first == "numpy 1", ray_first
assert inherited == "None 1", inherited
PYTHON
"$work/env/bin/python" check.py
# Seen on 2 CPUs: threads with numpy first: numpy 2; with ray first: numpy 1; before and in a child: None 1
