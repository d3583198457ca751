#!/usr/bin/env bash
# What happens: after `import ray`, Ray 0.8.5, `import psutil` gives the psutil 5.7.0 that Ray carries, not the one
#   that pip installed and lists (7.2.2 here): Ray puts a folder of its own before everything else on sys.path.
#   Where psutil was imported before Ray, the program has the other one.
# One would have guessed: a package's own copies of others stay its own, and an import gives what `pip list` says.
# Where it matters: a program that uses what a newer psutil has works or fails with an AttributeError by the order
#   of two imports; versions that are logged are not those that run.
#
# Needs Python 3.8 (PYTHON names it, where it is not python3.8 on PATH) and a package index; takes about a minute.
# Exit status: 0 the library still behaves so, 1 it does not.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3.8}" -m venv "$work/env"
"$work/env/bin/pip" install --quiet --disable-pip-version-check 'ray==0.8.5' 'protobuf==3.20.3' 'redis==3.4.1' 'numpy==1.23.5' 'aiohttp==3.8.6' 'setuptools==75.3.0' 'six==1.17.0' 'psutil==7.2.2'
cd "$work"
cat > check.py <<'PYTHON'
import subprocess
import sys


def version_after(imports: str) -> str:
    return subprocess.check_output([sys.executable, "-c", imports + "print(psutil.__version__)"], text=True).strip()


alone, after_ray = version_after("import psutil; "), version_after("import ray, psutil; ")
print(f"psutil alone: {alone}; after import ray: {after_ray}")
sys.exit(not (alone == "7.2.2" and after_ray == "5.7.0"))
PYTHON
env/bin/python check.py
