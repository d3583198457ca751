#!/usr/bin/env bash
# What happens: NormalizeReward of Gymnasium 1.4.0 divides by the spread of a discounted return that does not end with the
#   episode: a truncated one, or a reset, leaves it running, and a terminated one hands its last reward on to the next. In
#   episodes of ten steps that give 1 each, a reward becomes 0.366 where they terminate and 0.067 where they are truncated;
#   in episodes of one step 995 and 0.04. The wrapper for vectors does the same.
# One would have guessed: the return begins anew with each episode, so that it is the same however the episode ended, as the
#   sum of discounted rewards is in every book.
# Where it matters: Pendulum, HalfCheetah and Swimmer have no other end than a time limit: their rewards are scaled by a return
#   that no episode has, and a TimeLimit of another length, or an end that is called by its other name, changes the size of
#   every reward, and with it what a learning rate or an entropy coefficient means.
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
from gymnasium.wrappers import NormalizeReward


class Ones(gymnasium.Env):
    """Give a reward of 1 at each step; end after a number of steps, truncated or terminated."""

    observation_space = gymnasium.spaces.Box(-1, 1, (1,))
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, length, truncates):
        self.length, self.truncates, self.taken = length, truncates, 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.taken = 0
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self.taken += 1
        end = self.taken == self.length
        return np.zeros(1, np.float32), 1.0, end and not self.truncates, end and self.truncates, {}


def last_reward(length, truncates):
    """Play 200 episodes; give the last reward, as it comes out of the wrapper."""
    env = NormalizeReward(Ones(length, truncates))
    for _ in range(200):
        env.reset()
        end = False
        while not end:
            _, reward, terminated, truncated, _ = env.step(0)
            end = terminated or truncated
    return round(float(reward), 3)


seen = {length: (last_reward(length, False), last_reward(length, True)) for length in (10, 1)}
for length, (terminated, truncated) in seen.items():
    print(f"a reward of 1 in episodes of {length:2}: terminated {terminated}, truncated {truncated}")
sys.exit(not (seen[10][0] > 5 * seen[10][1] and seen[1][0] > 1000 * seen[1][1]))
PYTHON
env/bin/python check.py
