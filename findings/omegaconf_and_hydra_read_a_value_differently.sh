#!/usr/bin/env bash
# What happens: OmegaConf 2.3.1 and Hydra 1.3.8, which is built on it, read the same override to different values: seed=010 is
#   8 for OmegaConf.from_dotlist, as in a file, and the text 010 for Hydra; at=12:30 is 750, and 12:30; on is True, and on;
#   nan is a text, and a float. Both make the number 20240501 of run=2024_05_01, and 20240501 is what a file gives, too.
# One would have guessed: what a file says may be said on the command line, one reading for all; a name with underscores is
#   a text.
# Where it matters: a job's command is written into its configuration and the other way round: a seed, a time, a switch or the
#   name of a run then is another one, without an error where the field has no type. A run that is called by its day is put
#   into a folder of another name, and 2024_05_01 and 20240501 are the same.
#
# Needs Python 3.11 (PYTHON names it, where it is not python3.11 on PATH) and a package index; takes about a minute.
# Exit status: 0 the libraries still behave so, 1 they do not.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3.11}" -m venv "$work/env"
"$work/env/bin/pip" install --quiet --disable-pip-version-check 'omegaconf==2.3.1' 'hydra-core==1.3.8'
cd "$work"
cat > check.py <<'PYTHON'
import sys

from hydra import compose, initialize
from omegaconf import OmegaConf

VALUES = {"010": (8, 8, "010"), "12:30": (750, 750, "12:30"), "on": (True, True, "on"), "nan": ("nan", "nan", float("nan")),
          "2024_05_01": (20240501, 20240501, 20240501), "1e-3": (0.001, 0.001, 0.001)}
seen = {}
with initialize(version_base=None):
    for value in VALUES:
        in_file, given = OmegaConf.create(f"x: {value}").x, OmegaConf.from_dotlist([f"x={value}"]).x
        seen[value] = in_file, given, compose(overrides=[f"+x={value}"]).x
        print(f"{value}: in a file %r, from_dotlist %r, Hydra %r" % seen[value])
sys.exit(repr(seen) != repr(VALUES))
PYTHON
env/bin/python check.py
