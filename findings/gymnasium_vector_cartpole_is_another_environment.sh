#!/usr/bin/env bash
# What happens: gymnasium.make_vec("CartPole-v1") of Gymnasium 1.4.0 makes no vector of CartPoles, but a class of its own. It
#   draws the starts of all at once: with a seed of 3, environment 0 of one starts as make("CartPole-v1") does with it, and
#   environment 0 of two starts elsewhere. With vectorization_mode="sync" it starts as make's, however many there are. It
#   takes no list of seeds, which sync does.
# One would have guessed: a vector holds the environments that make gives, and the first has the seed, whatever their number.
# Where it matters: an episode of training cannot be played again from its seed; runs with 4 and 8 environments share no start;
#   and what is tried on CartPole, the one most used to try a thing, does not hold for Acrobot, Pendulum or MountainCar, which
#   have no such class.
#
# Needs Python 3.11 (PYTHON names it, where it is not python3.11 on PATH) and a package index; takes about a minute.
# Exit status: 0 the library still behaves so, 1 it does not.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3.11}" -m venv "$work/env"
"$work/env/bin/pip" install --quiet --disable-pip-version-check 'gymnasium==1.4.0' 'numpy==2.4.6'
cd "$work"
cat > check.py <<'PYTHON'
import sys

import gymnasium
import numpy as np
from gymnasium.vector import SyncVectorEnv


def start(number, mode=None):
    """Give the first observation of environment 0 of a number of them, with a seed of 3."""
    return gymnasium.make_vec("CartPole-v1", num_envs=number, vectorization_mode=mode).reset(seed=3)[0][0]


def takes_seeds(mode):
    """Tell whether two environments take a seed each."""
    try:
        gymnasium.make_vec("CartPole-v1", num_envs=2, vectorization_mode=mode).reset(seed=[3, 4])
    except gymnasium.error.Error:
        return False
    return True


single = gymnasium.make("CartPole-v1").reset(seed=3)[0]
print(f"alone                  {single}")
same = {}
for mode, number in ((None, 1), (None, 2), (None, 3), ("sync", 2), ("sync", 3)):
    same[mode, number] = np.array_equal(start(number, mode), single)
    print(f"environment 0 of {number} {mode or '':4} {start(number, mode)}")
lists = takes_seeds(None), takes_seeds("sync")
classes = [type(gymnasium.make_vec(name, num_envs=2)) for name in ("CartPole-v1", "Acrobot-v1", "Pendulum-v1", "MountainCar-v0")]
print(f"takes a list of seeds: {lists[0]}, sync {lists[1]}; classes {[kind.__name__ for kind in classes]}")
differs = [key for key, equal in same.items() if not equal] == [(None, 2), (None, 3)]
sys.exit(not (differs and lists == (False, True) and [kind is SyncVectorEnv for kind in classes] == [False, True, True, True]))
PYTHON
env/bin/python check.py
