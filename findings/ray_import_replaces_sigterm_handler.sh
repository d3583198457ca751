#!/usr/bin/env bash
# What happens: `import ray`, Ray 0.8.5, replaces the SIGTERM handler that the program has set by one of its own,
#   which raises SystemExit; nothing is said. ray.init leaves Python's view of it, signal.getsignal, as the import
#   made it.
# One would have guessed: importing a library leaves the process's signal handlers alone, or keeps one that is
#   there.
# Where it matters: a training job that saves on SIGTERM, as SageMaker's stop and spot interruptions send it, and
#   sets its handler first and imports Ray later: it ends without saving.
#
# Needs Python 3.8 (PYTHON names it, where it is not python3.8 on PATH) and a package index; takes about a minute.
# Exit status: 0 the library still behaves so, 1 it does not.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3.8}" -m venv "$work/env"
"$work/env/bin/pip" install --quiet --disable-pip-version-check 'ray==0.8.5' 'protobuf==3.20.3' 'redis==3.4.1' 'numpy==1.23.5' 'aiohttp==3.8.6' 'setuptools==75.3.0' 'six==1.17.0'
cd "$work"
cat > check.py <<'PYTHON'
import signal
import sys


def mine(number, frame):
    pass


signal.signal(signal.SIGTERM, mine)
import ray

there = signal.getsignal(signal.SIGTERM)
print(f"ray {ray.__version__}: the handler is {there.__module__}.{there.__qualname__}, mine is {mine.__qualname__}")
try:
    there(signal.SIGTERM, None)
    ends = False
except SystemExit:
    ends = True
sys.exit(not (there is not mine and ends))
PYTHON
env/bin/python check.py
