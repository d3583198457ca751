#!/usr/bin/env bash
# What happens: RLlib 0.8.5 evaluates with all of the training's configuration, `input` among it. A trainer that learns from a
#   file and is told to evaluate two episodes each iteration plays none: its evaluation worker reads the file, the
#   environment takes no step, and the evaluation gives 0 episodes and a mean reward of NaN, without a word.
#   evaluation_config={"input": "sampler"} makes it play.
# One would have guessed: evaluation plays the environment, and the more so where training does not.
# Where it matters: offline training has no other sign of how good a policy is; a NaN is as well what a run shows whose first
#   episode has not ended yet, so that one waits for it to go away, and a search by that score has nothing to go by.
#
# Needs Python 3.8 (PYTHON names it, where it is not python3.8 on PATH) and a package index; takes a minute or two.
# Exit status: 0 the library still behaves so, 1 it does not.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3.8}" -m venv "$work/env"
"$work/env/bin/pip" install --quiet --disable-pip-version-check 'ray==0.8.5' 'protobuf==3.20.3' 'redis==3.4.1' 'numpy==1.23.5' 'aiohttp==3.8.6' 'setuptools==75.3.0' 'six==1.17.0' \
    'gym==0.22.0' 'dm-tree==0.1.8' 'pandas==1.5.3' 'scipy==1.10.1' 'opencv-python-headless==4.8.1.78' 'lz4==4.3.3' \
    'tabulate==0.9.0' 'tensorboardx==2.6.2.2' 'requests==2.32.4' 'tensorflow-cpu==2.13.1' 'pygame==2.1.0'
cd "$work"
cat > check.py <<'PYTHON'
import math
import os
import sys

import ray
from gym.envs.classic_control import CartPoleEnv
from ray.rllib.agents.pg import PGTrainer

FILES = os.path.join(os.getcwd(), "episodes")
BASE = {"num_workers": 0, "train_batch_size": 200, "rollout_fragment_length": 100, "seed": 1, "log_level": "ERROR"}


class Counted(CartPoleEnv):
    steps = 0

    def __init__(self, config):
        super().__init__()
        self.taken = 0

    def reset(self):
        self.taken = 0
        return super().reset()

    def step(self, action):
        Counted.steps += 1
        self.taken += 1
        observation, reward, done, info = super().step(action)
        return observation, reward, done or self.taken == 200, info


def trained(config):
    """Train one iteration; give its result and the steps that environments took in it."""
    trainer = PGTrainer(env=Counted, config={**BASE, **config})
    Counted.steps = 0
    result = trainer.train()
    trainer.stop()
    return result, Counted.steps


def evaluated(config):
    """Learn from the file and evaluate two episodes; give the steps, the episodes and their mean reward."""
    offline = {"input": FILES, "input_evaluation": [], "evaluation_interval": 1, "evaluation_num_episodes": 2}
    result, steps = trained({**offline, "evaluation_config": config})
    return steps, result["evaluation"]["episodes_this_iter"], result["evaluation"]["episode_reward_mean"]


ray.init(num_cpus=1, include_webui=False, logging_level="ERROR")
trained({"output": FILES})
plain, told = evaluated({}), evaluated({"input": "sampler"})
print("steps, episodes and mean reward: as it is %s, with input=sampler %s" % (plain, told))
holds = plain[:2] == (0, 0) and math.isnan(plain[2]) and told[0] > 0 and told[1] == 2 and math.isfinite(told[2])
sys.exit(not holds)
PYTHON
env/bin/python check.py 2>/dev/null
