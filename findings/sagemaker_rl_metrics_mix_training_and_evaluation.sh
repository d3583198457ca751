#!/usr/bin/env bash
# What happens: the metric definitions that the SageMaker Python SDK 2.232.3 has for Ray, RLEstimator's
#   default_metric_definitions, find "episode_reward_mean: " anywhere in a line. A result of RLlib 0.8.5 with an evaluation,
#   as Tune prints it, has two such lines, the training's and the evaluation's, indented: one metric gets 5.0 and 500.0 in
#   each iteration.
# One would have guessed: the metric episode_reward_mean is the result's episode_reward_mean, one number an iteration.
# Where it matters: the curve jumps between the two or shows a mean of both, and what is told by it, an alarm or a tuning job,
#   goes by neither. A definition of one's own that has the spaces before the name tells them apart.
#
# Needs Python 3.8 (PYTHON names it, where it is not python3.8 on PATH) and a package index; takes a minute or two.
# Exit status: 0 the library still behaves so, 1 it does not.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3.8}" -m venv "$work/env"
"$work/env/bin/pip" install --quiet --disable-pip-version-check 'ray==0.8.5' 'protobuf==3.20.3' 'redis==3.4.1' 'numpy==1.23.5' 'aiohttp==3.8.6' 'setuptools==75.3.0' 'six==1.17.0' \
    'gym==0.22.0' 'dm-tree==0.1.8' 'pandas==1.5.3' 'scipy==1.10.1' 'opencv-python-headless==4.8.1.78' 'lz4==4.3.3' \
    'tabulate==0.9.0' 'tensorboardx==2.6.2.2' 'requests==2.32.4' 'sagemaker==2.232.3'
cd "$work"
cat > check.py <<'PYTHON'
import re
import sys

import gym
import numpy as np
import ray
from ray.rllib.agents.trainer import with_common_config
from ray.rllib.agents.trainer_template import build_trainer
from ray.rllib.policy.policy import Policy
from ray.tune.logger import pretty_print
from sagemaker.rl import RLEstimator, RLToolkit


class Zero(Policy):
    """Take the action 0, and learn nothing; it needs no TensorFlow."""

    def compute_actions(self, obs_batch, *args, **kwargs):
        return np.zeros(len(obs_batch), np.int64), [], {}

    def learn_on_batch(self, samples):
        return {}

    def get_weights(self):
        return {}

    def set_weights(self, weights):
        pass


class Short(gym.Env):
    """Give the configured reward, five times."""

    def __init__(self, config):
        self.observation_space = gym.spaces.Box(-1.0, 1.0, (1,), np.float32)
        self.action_space = gym.spaces.Discrete(2)
        self.reward, self.left = config.get("reward", 1.0), 0

    def reset(self):
        self.left = 5
        return np.zeros(1, np.float32)

    def step(self, action):
        self.left -= 1
        return np.zeros(1, np.float32), self.reward, self.left == 0, {}


Trainer = build_trainer(name="Zero", default_policy=Zero, default_config=with_common_config({}))

ray.init(num_cpus=1, include_webui=False, logging_level="ERROR")
trainer = Trainer(env=Short, config={
    "num_workers": 0, "train_batch_size": 100, "rollout_fragment_length": 50, "log_level": "ERROR", "evaluation_interval": 1,
    "evaluation_num_episodes": 1, "evaluation_config": {"env_config": {"reward": 100.0}},
})
printed = pretty_print(trainer.train()).splitlines()
found = {
    definition["Name"]: [match.group(1) for line in printed for match in re.finditer(definition["Regex"], line)]
    for definition in RLEstimator.default_metric_definitions(RLToolkit.RAY)
}
print("values of one iteration: %s" % found)
sys.exit(found != {"episode_reward_mean": ["5.0", "500.0"], "episode_reward_max": ["5.0", "500.0"]})
PYTHON
env/bin/python check.py 2>/dev/null
