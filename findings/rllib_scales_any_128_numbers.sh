#!/usr/bin/env bash
# What happens: RLlib 0.8.5 takes every observation of shape (128,) for an Atari console's memory and every one of
#   shape (210, 160, 3) for its screen, by the shape alone, and scales it as bytes: 0.5 arrives as -0.996. With 127
#   numbers it arrives as 0.5.
# One would have guessed: a Box of floats with bounds -1 and 1 is passed as it is, whatever its length.
# Where it matters: 128 features in [-1, 1] all arrive within 1/64 of each other; training goes on, and learns
#   little.
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
import numpy as np
from ray.rllib.models.preprocessors import get_preprocessor


def arrives(shape):
    space = gym.spaces.Box(-1.0, 1.0, shape, np.float32)
    preprocessor = get_preprocessor(space)(space)
    return type(preprocessor).__name__, float(np.ravel(preprocessor.transform(np.full(shape, 0.5, np.float32)))[0])


seen = {shape: arrives(shape) for shape in ((127,), (128,), (210, 160, 3))}
print(seen)
sys.exit(not (seen[(127,)][1] == 0.5 and all(seen[shape][1] < -0.99 for shape in ((128,), (210, 160, 3)))))
PYTHON
env/bin/python check.py
