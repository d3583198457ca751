#!/usr/bin/env bash
# What happens: normalize_actions=True of RLlib 0.8.5 stretches -1 to 1 over the bounds of the actions, in a wrapper that has the
#   environment's own bounds; what the policy draws is clipped to those before it (clip_actions, which is on by default). Of
#   draws from -1 to 1, an environment with Box(0, 1) is given 0.5 to 1 and never less, one with Box(10, 20) is given 20
#   whatever is drawn, one with Box(-0.1, 0.1) a tenth of its range. With clip_actions=False they are given all of it.
# One would have guessed: -1 becomes the lower bound, 0 the middle and 1 the upper bound, in whatever units they are.
# Where it matters: a throttle from 0 to 1 never goes below a half, and a price from 10 to 20 is always 20; training goes on, the
#   action has no effect, and no error says why. Bounds of -1 and 1, with which one tries it, and wider ones around 0, as
#   Pendulum's, show nothing of it. SAC has the setting on.
#
# Needs Python 3.8 (PYTHON names it, where it is not python3.8 on PATH) and a package index; takes a minute or two.
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
import ray
from ray.rllib.agents.trainer import with_common_config
from ray.rllib.agents.trainer_template import build_trainer
from ray.rllib.policy.policy import Policy

DRAWN = [-1.0, -0.5, 0.0, 0.5, 1.0]


class Draws(Policy):
    """Draw five actions, one after the other, and learn nothing; it needs no TensorFlow."""

    drawn = 0

    def compute_actions(self, obs_batch, *args, **kwargs):
        self.drawn += 1
        return np.array([[DRAWN[(self.drawn - 1) % 5]]], np.float32), [], {}

    def learn_on_batch(self, samples):
        return {}


class Bounded(gym.Env):
    """Take actions within bounds, and give the action that was taken as the reward."""

    def __init__(self, config):
        self.observation_space = gym.spaces.Box(-1.0, 1.0, (1,), np.float32)
        self.action_space = gym.spaces.Box(config["low"], config["high"], (1,), np.float32)

    def reset(self):
        return np.zeros(1, np.float32)

    def step(self, action):
        return np.zeros(1, np.float32), float(action[0]), False, {}


def arrives(low, high, **config):
    """Sample five steps; give the actions that the environment took."""
    trainer = Trainer(env=Bounded, config=dict({
        "num_workers": 0, "train_batch_size": 5, "rollout_fragment_length": 5, "log_level": "ERROR",
        "normalize_actions": True, "env_config": {"low": low, "high": high},
    }, **config))
    return [round(float(reward), 3) for reward in trainer.workers.local_worker().sample()["rewards"]]


ray.init(num_cpus=1, include_webui=False, logging_level="ERROR")
Trainer = build_trainer(name="Draws", default_policy=Draws, default_config=with_common_config({}))
seen = [arrives(*bounds) for bounds in ((0.0, 1.0), (10.0, 20.0), (-0.1, 0.1), (-1.0, 1.0))]
free = [arrives(*bounds, clip_actions=False) for bounds in ((0.0, 1.0), (10.0, 20.0))]
print("drawn %s: of [0, 1] %s, of [10, 20] %s, of [-0.1, 0.1] %s, of [-1, 1] %s" % (DRAWN, *seen))
print("without clip_actions: of [0, 1] %s, of [10, 20] %s" % tuple(free))
sys.exit(
    seen != [[0.5, 0.5, 0.5, 0.75, 1.0], [20.0] * 5, [-0.01, -0.01, 0.0, 0.01, 0.01], DRAWN]
    or free != [[0.0, 0.25, 0.5, 0.75, 1.0], [10.0, 12.5, 15.0, 17.5, 20.0]]
)
PYTHON
env/bin/python check.py 2>/dev/null
