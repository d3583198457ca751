#!/usr/bin/env bash
# What happens: once setuptools 75.3.0 has been imported, importlib.metadata.distributions() lists what setuptools carries
#   in its own folder as if it were installed: packages that are not there appear, and those that are there appear twice,
#   in two versions.
# One would have guessed: what is installed does not change by an import, and a name has one distribution.
# Where it matters: a list of versions for a bug report, a check of requirements, a lock made from what is there: the last
#   of two entries wins, and it is the one that nothing imports. Many packages import setuptools for their plugins.
#
# Needs Python 3.8 (PYTHON names it, where it is not python3.8 on PATH) and a package index; takes seconds.
# Exit status: 0 the library still behaves so, 1 it does not.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3.8}" -m venv "$work/env"
"$work/env/bin/pip" install --quiet --disable-pip-version-check 'setuptools==75.3.0' 'typing-extensions==4.5.0'
cd "$work"
cat > check.py <<'PYTHON'
import sys
from importlib import metadata


def versions(name):
    found = (each for each in metadata.distributions() if each.metadata["Name"].replace("-", "_") == name)
    return [each.version for each in found]


before = versions("typing_extensions"), versions("more_itertools")
import setuptools  # noqa: E402

after = versions("typing_extensions"), versions("more_itertools")
print(f"setuptools {setuptools.__version__}; typing_extensions, more_itertools: before {before}, after {after}")
sys.exit(not (before == (["4.5.0"], []) and len(after[0]) == 2 and after[1]))
PYTHON
env/bin/python check.py
