#!/usr/bin/env bash
# What happens: Tuple and Dict of Gym 0.17.3 hand the seed on as it is to each of their parts: a Tuple of two Discrete(1000) with
#   a seed draws (624, 624), (334, 334), (70, 70), and a thousand pairs hold no two that differ; the two Boxes of a Dict are
#   equal to the last digit. In Gym 0.22.0 no more than a few of a thousand pairs are equal.
# One would have guessed: a seed makes draws the same again, and leaves them independent, as they are without one.
# Where it matters: exploring at random in such an action space with a seed, as off-policy methods do at their start, sees only
#   the diagonal; a test of an environment by random actions passes for want of all other pairs; and what was measured with
#   a seed differs from the same without.
#
# Needs Python 3.8 (PYTHON names it, where it is not python3.8 on PATH) and a package index; takes about a minute.
# Exit status: 0 the library still behaves so, 1 it does not.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for version in 0.17.3 0.22.0; do
    "${PYTHON:-python3.8}" -m venv "$work/$version"
    "$work/$version/bin/pip" install --quiet --disable-pip-version-check 'setuptools==65.5.0' 'wheel==0.38.4'
    "$work/$version/bin/pip" install --quiet --disable-pip-version-check --no-build-isolation "gym==$version" 'numpy==1.23.5'
done
cd "$work"
cat > check.py <<'PYTHON'
import sys

import gym
import numpy as np
from gym.spaces import Box, Dict, Discrete, Tuple

pairs = Tuple([Discrete(1000), Discrete(1000)])
pairs.seed(0)
drawn = [pairs.sample() for _ in range(1000)]
boxes = Dict({"left": Box(-1, 1, (2,), np.float32), "right": Box(-1, 1, (2,), np.float32)})
boxes.seed(0)
both = boxes.sample()
equal = sum(first == second for first, second in drawn)
same = np.array_equal(both["left"], both["right"])
print("gym %s: %d of 1000 pairs are of one number, %s; boxes equal: %s" % (gym.__version__, equal, drawn[:3], same))
sys.exit(not ((equal == 1000 and same) if sys.argv[1] == "twice" else (equal < 20 and not same)))
PYTHON
0.17.3/bin/python check.py twice
0.22.0/bin/python check.py once
