#!/usr/bin/env bash
# What happens: clip_rewards=True of RLlib 0.8.5 puts each reward's sign in its place: 0.001 is learned from as 1, -0.001 as -1,
#   5 as 1. The parameter's own description says that rewards are clipped to [-1, 1]. The mean reward of episodes is of the
#   rewards as they came.
# One would have guessed: what lies within the bounds is left alone; 0.001 stays 0.001.
# Where it matters: an environment with a small cost a step and one large reward, which one clips for the sake of the value
#   function, has them weigh the same: a step's cost of 0.001 is a penalty of 1, and giving up at once becomes the best
#   policy. The report shows the true rewards, so that it reads as an agent that does not learn.
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
from ray.rllib.policy.policy import Policy

REWARDS = [0.001, -0.001, 0.0, 0.25, 5.0]


class Rewards(gym.Env):
    """Give one reward after the other."""

    observation_space = gym.spaces.Box(-1.0, 1.0, (1,), np.float32)
    action_space = gym.spaces.Discrete(2)

    def reset(self):
        self.left = list(REWARDS)
        return np.zeros(1, np.float32)

    def step(self, action):
        return np.zeros(1, np.float32), self.left.pop(0), not self.left, {}


class Zero(Policy):
    """Take the action 0."""

    def compute_actions(self, obs_batch, *args, **kwargs):
        return np.zeros(len(obs_batch), np.int64), [], {}


def sampled(clip):
    """Play an episode; give the rewards of its batch, and the reward that is reported of it."""
    worker = RolloutWorker(
        env_creator=lambda config: Rewards(), policy=Zero, rollout_fragment_length=5, batch_mode="complete_episodes",
        clip_rewards=clip,
    )
    return worker.sample()["rewards"].tolist(), worker.get_metrics()[0].episode_reward


plain, clipped = sampled(False), sampled(True)
print("rewards and their sum as reported: %s\nclipped: %s" % (plain, clipped))
sys.exit(not (np.allclose(plain[0], REWARDS) and clipped[0] == [1, -1, 0, 1, 1] and np.isclose(clipped[1], sum(REWARDS))))
PYTHON
env/bin/python check.py
