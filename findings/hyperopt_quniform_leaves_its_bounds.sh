#!/usr/bin/env bash
# What happens: hp.quniform of hyperopt 0.3.0 draws between its bounds and rounds to a multiple of q afterwards, in both
#   directions: quniform("x", 1, 10, 4) gives 0, 4 and 8, quniform("x", 3, 7, 4) gives 4 and 8, and of
#   quniform("x", 32, 500, 64) comes 512. So does qloguniform, whose lower bound is there to keep a 0 out: of 1 to 10 come 0,
#   4 and 8. uniformint, which takes a q as well, keeps its bounds and pays no heed to q: 1 to 10 with q=4 are all ten.
# One would have guessed: steps of q that begin at the lower bound, or multiples of q that lie between the two.
# Where it matters: layers, units, steps and minibatches are drawn by it: a trial with 0 of them fails, or trains nothing and
#   has a score; a minibatch of 512 is larger than the batch of 500. It is rare enough to come in the middle of a search.
#
# Needs Python 3.11 (PYTHON names it, where it is not python3.11 on PATH) and a package index; takes about a minute.
# Exit status: 0 the library still behaves so, 1 it does not.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3.11}" -m venv "$work/env"
"$work/env/bin/pip" install --quiet --disable-pip-version-check 'hyperopt==0.3.0' 'numpy==2.4.6'
cd "$work"
cat > check.py <<'PYTHON'
import math
import sys

import numpy as np
from hyperopt import fmin, hp, rand

SPACES = {
    "quniform 1 10 4": hp.quniform("x", 1, 10, 4),
    "quniform 3 7 4": hp.quniform("x", 3, 7, 4),
    "quniform 32 500 64": hp.quniform("x", 32, 500, 64),
    "qloguniform 1 10 4": hp.qloguniform("x", 0, math.log(10), 4),
    "uniformint 1 10 4": hp.uniformint("x", 1, 10, q=4),
}


def tried(space):
    """Give what a search of 300 trials gives its function."""
    seen = set()
    fmin(lambda x: seen.add(x) or 0.0, space, rand.suggest, 300, show_progressbar=False, rstate=np.random.default_rng(1))
    return sorted(float(x) for x in seen)


seen = {name: tried(space) for name, space in SPACES.items()}
for name, values in seen.items():
    print(f"{name}: {values}")
sys.exit(list(seen.values()) != [[0, 4, 8], [4, 8], list(range(64, 513, 64)), [0, 4, 8], list(range(1, 11))])
PYTHON
env/bin/python check.py
