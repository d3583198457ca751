#!/usr/bin/env bash
# What happens: the interquartile mean of rliable 1.2.0, aggregate_iqm, cuts whole scores alone, a quarter of their number from
#   each end, rounded down. Of three runs it cuts none: of 0, 10 and 1000 it gives the mean, 336.7. Of 0, 10, 20 and 1000 it
#   gives 15. Of seven it cuts two and keeps five, which is more than their middle half. Nothing is said of it.
# One would have guessed: the mean of the middle half, the outermost of which count in part, which of 0, 10 and 1000 is 173.3;
#   or an error with fewer than four, of which there is no quarter.
# Where it matters: three seeds of one environment are what there is time for, and the measure is chosen for being robust: with
#   three it is the mean, the one run that went astray in it, under a name that says it is not; with a fourth it is another
#   measure. Where the scores of many tasks are put together, as the package means it, nothing of it shows.
#
# Needs Python 3.11 (PYTHON names it, where it is not python3.11 on PATH) and a package index; takes about a minute.
# Exit status: 0 the library still behaves so, 1 it does not.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3.11}" -m venv "$work/env"
"$work/env/bin/pip" install --quiet --disable-pip-version-check 'rliable==1.2.0' 'numpy==2.4.6' 'scipy==1.17.1' 'arch==7.2.0'
cd "$work"
cat > check.py <<'PYTHON'
import sys

import numpy as np
from rliable.metrics import aggregate_iqm

RUNS = [0, 10, 1000], [0, 10, 20, 1000], [0, 20, 30, 40, 50, 60, 1000]


def interquartile_mean(scores):
    """Take the mean of the middle half, each score with the part of it that lies there."""
    scores = sorted(scores)
    edges = np.clip(np.arange(len(scores) + 1) / len(scores), 0.25, 0.75)
    return float(np.sum(np.diff(edges) * scores) / 0.5)


seen = [round(float(aggregate_iqm(np.array(scores, float)[:, None])), 1) for scores in RUNS]
for scores, given in zip(RUNS, seen):
    print(f"{scores}: {given}, the mean {np.mean(scores):.1f}, of the middle half {interquartile_mean(scores):.1f}")
sys.exit(seen != [336.7, 15.0, 40.0])
PYTHON
env/bin/python check.py
