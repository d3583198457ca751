#!/usr/bin/env bash
# What happens: tune.choice of Tune 0.8.5 draws from an array of numpy that it makes of the list, and the array has one type: of
#   [64, "auto"] come the texts "64" and "auto", of [128, 0.5] the numbers 128.0 and 0.5, of [False, 40.0] 0.0 and 40.0. Of
#   [[64, 64], [32]] it draws a list; of [[64, 64], [32, 32]], which are equally long, nothing: a ValueError. With None
#   among them, as in [64, None], they come as they are.
# One would have guessed: what is drawn is one of the things in the list, as with Python's random.choice.
# Where it matters: a number that may be "auto" is a text, and "64" and 64 are told apart by nobody who reads the results; a
#   switch that may be a number is 0.0; a size of 128.0 is refused where an array is made of it, deep in the training. Layers can
#   be searched over until two networks are equally deep.
#
# Needs Python 3.8 (PYTHON names it, where it is not python3.8 on PATH) and a package index; takes about a minute.
# Exit status: 0 the library still behaves so, 1 it does not.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3.8}" -m venv "$work/env"
"$work/env/bin/pip" install --quiet --disable-pip-version-check 'ray==0.8.5' 'protobuf==3.20.3' 'redis==3.4.1' 'numpy==1.23.5' 'aiohttp==3.8.6' 'setuptools==75.3.0' 'six==1.17.0' \
    'pandas==1.5.3' 'tabulate==0.9.0' 'tensorboardx==2.6.2.2' 'requests==2.32.4'
cd "$work"
cat > check.py <<'PYTHON'
import sys

import numpy as np
from ray import tune

np.random.seed(1)


def drawn(*choices):
    """Draw fifty times; give what came, each with its type, or the error's name."""
    sample = tune.choice(list(choices))
    try:
        return sorted({"%s %s" % (type(value).__name__, value) for value in (sample.func(None) for _ in range(50))})
    except ValueError as error:
        return type(error).__name__


CHOICES = (64, "auto"), (128, 0.5), (False, 40.0), ([64, 64], [32]), ([64, 64], [32, 32]), (64, None)
seen = [drawn(*choices) for choices in CHOICES]
for choices, values in zip(CHOICES, seen):
    print("of %s: %s" % (list(choices), values))
sys.exit(seen != [
    ["str_ 64", "str_ auto"], ["float64 0.5", "float64 128.0"], ["float64 0.0", "float64 40.0"],
    ["list [32]", "list [64, 64]"], "ValueError", ["NoneType None", "int 64"],
])
PYTHON
env/bin/python check.py
