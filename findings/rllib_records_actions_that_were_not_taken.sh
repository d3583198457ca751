#!/usr/bin/env bash
# What happens: RLlib 0.8.5 clips a continuous action to its bounds on the way to the environment, and writes the one from before:
#   of a policy that draws 0.3, -0.9, 0.05 and 1.2, the environment with an action space of [-0.1, 0.1] is given 0.1, -0.1,
#   0.05 and 0.1, and the files of "output" hold what was drawn. Observations and rewards beside them are those of the
#   clipped ones.
# One would have guessed: recorded episodes say what was done in the environment.
# Where it matters: RLlib's Gaussian knows no bounds and starts with a deviation of 1, so that in a narrow space most of what is
#   recorded was never done. Whoever reads the files to imitate, to learn a model of the environment or to replay an episode
#   learns from steps that no environment made. Probabilities in the files are those of the unclipped actions, so that
#   clipping them later breaks these.
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
import glob
import json
import os
import sys

import gym
import numpy as np
import ray
from ray.rllib.agents.trainer import with_common_config
from ray.rllib.agents.trainer_template import build_trainer
from ray.rllib.policy.policy import Policy

FILES = os.path.join(os.getcwd(), "episodes")
DRAWN = [0.3, -0.9, 0.05, 1.2]


class Wide(Policy):
    """Draw four actions, one after the other, and learn nothing; it needs no TensorFlow."""

    drawn = 0

    def compute_actions(self, obs_batch, *args, **kwargs):
        self.drawn += 1
        return np.array([[DRAWN[(self.drawn - 1) % 4]]], np.float32), [], {}

    def learn_on_batch(self, samples):
        return {}


class Narrow(gym.Env):
    """Take actions between -0.1 and 0.1, and give the action that was taken as the reward."""

    def __init__(self, config):
        self.observation_space = gym.spaces.Box(-1.0, 1.0, (1,), np.float32)
        self.action_space = gym.spaces.Box(-0.1, 0.1, (1,), np.float32)
        self.left = 0

    def reset(self):
        self.left = 4
        return np.zeros(1, np.float32)

    def step(self, action):
        self.left -= 1
        return np.zeros(1, np.float32), float(action[0]), self.left == 0, {}


ray.init(num_cpus=1, include_webui=False, logging_level="ERROR")
Trainer = build_trainer(name="Wide", default_policy=Wide, default_config=with_common_config({}))
trainer = Trainer(env=Narrow, config={
    "num_workers": 0, "train_batch_size": 4, "rollout_fragment_length": 4, "log_level": "ERROR", "output": FILES,
})
trainer.train()
with open(glob.glob(FILES + "/*.json")[0]) as file:
    batch = json.loads(file.readline())
recorded, taken = np.ravel(batch["actions"]), np.array(batch["rewards"])
print("recorded %s, taken %s" % (recorded.round(3).tolist(), taken.round(3).tolist()))
sys.exit(not (np.allclose(recorded, DRAWN) and np.allclose(taken, np.clip(DRAWN, -0.1, 0.1))))
PYTHON
env/bin/python check.py 2>/dev/null
