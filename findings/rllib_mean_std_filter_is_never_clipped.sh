#!/usr/bin/env bash
# What happens: the class MeanStdFilter of RLlib 0.8.5 clips what it normalizes to -10 and 10, and the setting observation_filter
#   makes one that does not: {"observation_filter": "MeanStdFilter"} has clip=None. A feature that was 1.0 a thousand times, and
#   is 1.01 then, is divided by a deviation of 0 and 1e-8: the policy is given 1000000. With the class's own clip it is 10.
# One would have guessed: the setting makes what the class of its name is by default; and a filter that is there to keep inputs
#   small does so, as those of OpenAI Baselines and its successors, which clip at 10.
# Where it matters: a goal, a load or a temperature that was the same in all of the training and is another where the policy is
#   used: one feature of a million outvotes all others, and the action is the same whatever they are. An evaluation in the
#   environment of the training cannot show it.
#
# Needs Python 3.8 (PYTHON names it, where it is not python3.8 on PATH) and a package index; takes about a minute.
# Exit status: 0 the library still behaves so, 1 it does not.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3.8}" -m venv "$work/env"
"$work/env/bin/pip" install --quiet --disable-pip-version-check 'ray==0.8.5' 'protobuf==3.20.3' 'redis==3.4.1' 'numpy==1.23.5' 'aiohttp==3.8.6' 'setuptools==75.3.0' 'six==1.17.0' \
    'gym==0.22.0' 'dm-tree==0.1.8' 'pandas==1.5.3' 'scipy==1.10.1' 'opencv-python-headless==4.8.1.78' 'lz4==4.3.3' \
    'tabulate==0.9.0' 'tensorboardx==2.6.2.2' 'requests==2.32.4'
cd "$work"
cat > check.py <<'PYTHON'
import sys

import numpy as np
from ray.rllib.utils.filter import MeanStdFilter, get_filter

configured, own = get_filter("MeanStdFilter", (2,)), MeanStdFilter((2,))
rows = np.random.RandomState(1).normal(size=(1000, 2))
rows[:, 1] = 1.0
for row in rows:
    configured(row)
    own(row)
moved = [each(np.array([0.0, 1.01]), update=False) for each in (configured, own)]
print("the second of two features was 1.0 a thousand times and is 1.01: %s, with the class's own clip %s" % tuple(moved))
sys.exit(not (abs(moved[0][1] - 1e6) < 1 and abs(moved[0][0]) < 1 and moved[1][1] == 10.0))
PYTHON
env/bin/python check.py
