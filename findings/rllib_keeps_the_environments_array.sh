#!/usr/bin/env bash
# What happens: RLlib 0.8.5's sampler keeps the array that an environment returns, without a copy: where the
#   environment changes one array in place, every row of the batch holds the last observation. With an observation
#   filter the rows are right, since the filter copies.
# One would have guessed: a batch holds the observations as they were when they were returned, filter or not.
# Where it matters: environments that fill one buffer for speed train on nonsense without an error; the same code
#   with a copy, or with MeanStdFilter, learns.
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
from ray.rllib.evaluation.rollout_worker import RolloutWorker
from ray.rllib.policy import Policy


class Still(Policy):
    def compute_actions(self, obs_batch, *args, **kwargs):
        return [0] * len(obs_batch), [], {}


class Counter(gym.Env):
    observation_space = gym.spaces.Box(-100, 100, (1,), np.float32)
    action_space = gym.spaces.Discrete(2)

    def __init__(self):
        self.seen = np.zeros(1, np.float32)

    def reset(self):
        self.seen[:] = 0
        return self.seen

    def step(self, action):
        self.seen += 1
        return self.seen, 0.0, False, {}


def rows(observation_filter):
    worker = RolloutWorker(
        lambda _: Counter(), Still, rollout_fragment_length=5, observation_filter=observation_filter
    )
    return worker.sample()["obs"][:, 0].tolist()


plain, filtered = rows("NoFilter"), rows("MeanStdFilter")
print(f"five steps from 0: {plain} without a filter; with MeanStdFilter {[round(row, 2) for row in filtered]}")
sys.exit(not (plain == [5.0] * 5 and len(set(filtered)) == 5))
PYTHON
env/bin/python check.py
