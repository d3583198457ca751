#!/usr/bin/env bash
# What happens: where an observation of a Dict space is an OrderedDict, RLlib 0.8.5 writes its values one after the other as
#   they come and never looks at their names; a plain dict it sorts by name first. Of {"speed": 0.1, "angle": 0.2} comes
#   [0.2, 0.1] as a dict and [0.1, 0.2] as an OrderedDict. Gym 0.22.0 takes both for members of the space, and its own
#   flatten gives [0.2, 0.1] for both.
# One would have guessed: values go to their places by name; that is what a Dict space is for.
# Where it matters: an environment that builds an OrderedDict is trained on one order, and whoever serves the policy from
#   JSON, a plain dict, asks it in the other: where the parts are of one size, it answers, with its inputs swapped.
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
from collections import OrderedDict

import gym
import numpy as np
from ray.rllib.models.preprocessors import get_preprocessor

part = gym.spaces.Box(-1.0, 1.0, (1,), np.float32)
space = gym.spaces.Dict({"speed": part, "angle": part})
pairs = [("speed", np.array([0.1], np.float32)), ("angle", np.array([0.2], np.float32))]
seen = {}
for kind in (dict, OrderedDict):
    observation = kind(pairs)
    given = get_preprocessor(space)(space).transform(observation)
    seen[kind.__name__] = [[round(float(value), 3) for value in array] for array in (given, gym.spaces.flatten(space, observation))]
    print("%-11s of the space: %s, RLlib %s, Gym %s" % (kind.__name__, space.contains(observation), *seen[kind.__name__]))
sorted_by_name, as_it_came = [0.2, 0.1], [0.1, 0.2]
sys.exit(seen != {"dict": [sorted_by_name] * 2, "OrderedDict": [as_it_came, sorted_by_name]})
PYTHON
env/bin/python check.py
