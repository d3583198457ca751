#!/usr/bin/env bash
# What happens: RLlib 0.8.5's preprocessor for Discrete spaces takes a bool for an index mask: True becomes [1, 1]
#   and False [0, 0], both of a Discrete(2). A negative number sets a category from the end.
# One would have guessed: True is 1 and False is 0, as everywhere in Python, and Gym's Discrete.contains takes a
#   Python bool for valid.
# Where it matters: an environment with a flag as its observation trains without a word on an input that is not one-
#   hot, and whoever serves the policy with a correct one-hot gets another action than was trained.
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

import gym
from ray.rllib.models.preprocessors import get_preprocessor

space = gym.spaces.Discrete(2)
encode = get_preprocessor(space)(space).transform
seen = {repr(value): encode(value).tolist() for value in (0, 1, True, False)}
last = get_preprocessor(gym.spaces.Discrete(3))(gym.spaces.Discrete(3))
last._i = 1  # only each hundredth observation is checked against the space, beginning with the first
print(seen, "contains(True):", space.contains(True), "-1 of 3:", last.transform(-1).tolist())
expected = {"0": [1.0, 0.0], "1": [0.0, 1.0], "True": [1.0, 1.0], "False": [0.0, 0.0]}
sys.exit(not (seen == expected and space.contains(True) and last.transform(-1).tolist() == [0.0, 0.0, 1.0]))
PYTHON
env/bin/python check.py
