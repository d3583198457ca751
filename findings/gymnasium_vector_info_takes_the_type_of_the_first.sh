#!/usr/bin/env bash
# What happens: a vector of Gymnasium 1.4.0 puts the info of its environments into one array for each key, whose type is that of
#   the first that has the key. Where environment 0 says {"score": 0} and environment 1 {"score": 0.7}, the vector says [0, 0];
#   with {"won": False} and {"won": 0.7} it says [False, True]; the other way round 0.7 is kept.
# One would have guessed: a type that takes them all, as numpy's array of [0, 0.7] has; the same numbers in another order.
# Where it matters: a score, a progress or a success that begins as 0 and becomes a fraction is 0 in all that is logged from it,
#   as long as environment 0 says 0, and right in a test with one environment.
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
from gymnasium.vector import AsyncVectorEnv, SyncVectorEnv


class Says(gymnasium.Env):
    """Say one thing at each step."""

    observation_space = gymnasium.spaces.Box(-1, 1, (1,))
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, value):
        self.value = value

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros(1, np.float32), {}

    def step(self, action):
        return np.zeros(1, np.float32), 1.0, False, False, {"score": self.value}


def said(kind, *values):
    """Give what a vector of environments says, each of which says one of the values."""
    env = kind([lambda value=value: Says(value) for value in values])
    env.reset()
    score = env.step(np.zeros(len(values), int))[4]["score"]
    env.close()
    return score.tolist()


if __name__ == "__main__":
    pairs = (0, 0.7), (False, 0.7), (0.7, 0)
    seen = {kind.__name__: [said(kind, *pair) for pair in pairs] for kind in (SyncVectorEnv, AsyncVectorEnv)}
    print(f"of {pairs}: {seen}")
    expected = [[0, 0], [False, True], [0.7, 0.0]]
    sys.exit(not all(values == expected for values in seen.values()))
PYTHON
env/bin/python check.py
