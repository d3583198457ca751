#!/usr/bin/env bash
# What happens: a Discrete space of Gym 0.22.0 that has drawn once, or has been seeded, can be copied and pickled, and the copy
#   cannot draw: sample raises an AttributeError, there is no randint. A copy of one that has never drawn does, and so do
#   copies of Box, MultiDiscrete and MultiBinary. In Gym 0.17.3 all of them do.
# One would have guessed: a copy draws on as the original would; or no copy does.
# Where it matters: Ray sends spaces and environments to its workers pickled: whether they draw there depends on whether someone
#   has drawn here before, such as a check of the environment by one random step. The error names numpy and comes from the
#   worker, and goes away when the check does.
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
import copy
import pickle
import sys

import gym
from gym.spaces import Box, Discrete, MultiBinary, MultiDiscrete


def draws(copied):
    """Tell whether a copy of a space can draw."""
    try:
        copied.sample()
    except AttributeError as error:
        print("gym %s: %s" % (gym.__version__, error))
        return False
    return True


seen = {"unused": draws(copy.deepcopy(Discrete(5)))}
for space in (Discrete(5), Box(-1, 1, (1,)), MultiDiscrete([3, 3]), MultiBinary(3)):
    space.sample()
    copies = draws(copy.deepcopy(space)), draws(pickle.loads(pickle.dumps(space)))
    seen[type(space).__name__] = all(copies) if all(copies) == any(copies) else copies
print("gym %s: copies that draw: %s" % (gym.__version__, seen))
sys.exit([name for name, value in seen.items() if value is not True] != sys.argv[1:])
PYTHON
0.17.3/bin/python check.py
0.22.0/bin/python check.py Discrete
