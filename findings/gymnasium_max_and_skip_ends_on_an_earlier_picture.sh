#!/usr/bin/env bash
# What happens: MaxAndSkipObservation of Gymnasium 1.4.0 takes the larger of the last two observations of each four steps, and
#   where an episode ends within the four, of what its buffer holds from before: an episode of six steps that shows 11, 12, … 16
#   ends with 14, with the rewards of all six. One of two steps after it, which shows 21 and 22, ends with that 14, too.
# One would have guessed: the last observation is that of the end; nothing of another episode comes into this one.
# Where it matters: where a time limit ends an episode, the value of what would have come is taken from its last observation,
#   which is an earlier one here, or one of another game; and what looks at the end of an episode, to tell a goal from a crash,
#   does not see it. It hangs on the number of steps: with a multiple of four the end is there.
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
from gymnasium.wrappers import MaxAndSkipObservation


class Counts(gymnasium.Env):
    """Show ten times the episode's number and the step's, with a reward of 1; truncate by turns after six and two steps."""

    observation_space = gymnasium.spaces.Box(0, 100, (1,))
    action_space = gymnasium.spaces.Discrete(2)
    episode = taken = 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.episode, self.taken = self.episode + 1, 0
        return np.full(1, 10 * self.episode, np.float32), {}

    def step(self, action):
        self.taken += 1
        shown = np.full(1, 10 * self.episode + self.taken, np.float32)
        return shown, 1.0, False, self.taken == (6 if self.episode % 2 else 2), {}


def played(env):
    """Play an episode; give the observations and rewards."""
    seen = [(float(env.reset()[0][0]), 0.0)]
    end = False
    while not end:
        observation, reward, _, end, _ = env.step(0)
        seen.append((float(observation[0]), float(reward)))
    return seen


env = MaxAndSkipObservation(Counts(), skip=4)
seen = [played(env) for _ in range(2)]
print(f"of six steps, 11 to 16: {seen[0]}; then of two, 21 and 22: {seen[1]}")
sys.exit(seen != [[(10, 0), (14, 4), (14, 2)], [(20, 0), (14, 2)]])
PYTHON
env/bin/python check.py
