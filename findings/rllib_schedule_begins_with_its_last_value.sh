#!/usr/bin/env bash
# What happens: before the first point of an lr_schedule or an entropy_coeff_schedule, RLlib 0.8.5 takes the value of the last
#   point. PPO with lr 0.0001 and the schedule [[600, 0.001], [1000, 0.00001]] learns with 0.00001 until it has 600 steps, then
#   with 0.001, falling to 0.00001 again at 1000. The lr that is set is never used.
# One would have guessed: before the first point counts what is set as lr, or the first point's value, as numpy's interp has it.
# Where it matters: a schedule that begins later, to hold the rate for a while and let it fall then, has a training stand
#   still for just that while, and with an entropy coefficient that falls to 0 there is none while it is needed most, then a
#   jump. A first point at 0 with the same value avoids both.
#
# Needs Python 3.8 (PYTHON names it, where it is not python3.8 on PATH) and a package index; takes a minute or two.
# Exit status: 0 the library still behaves so, 1 it does not.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3.8}" -m venv "$work/env"
"$work/env/bin/pip" install --quiet --disable-pip-version-check 'ray==0.8.5' 'protobuf==3.20.3' 'redis==3.4.1' \
    'numpy==1.23.5' 'aiohttp==3.8.6' 'setuptools==75.3.0' 'six==1.17.0' 'gym==0.22.0' 'dm-tree==0.1.8' 'pandas==1.5.3' \
    'scipy==1.10.1' 'opencv-python-headless==4.8.1.78' 'lz4==4.3.3' 'tabulate==0.9.0' 'tensorboardx==2.6.2.2' \
    'requests==2.32.4' 'tensorflow-cpu==2.13.1' 'pygame==2.1.0'
cd "$work"
cat > check.py <<'PYTHON'
import sys

import ray
from gym.envs.classic_control import CartPoleEnv
from ray.rllib.agents.ppo import PPOTrainer


class CartPole(CartPoleEnv):
    def __init__(self, config):
        super().__init__()


ray.init(num_cpus=1, include_webui=False, logging_level="ERROR")
trainer = PPOTrainer(env=CartPole, config={
    "num_workers": 0, "num_sgd_iter": 1, "rollout_fragment_length": 200, "train_batch_size": 200, "log_level": "ERROR",
    "lr": 1e-4, "lr_schedule": [[600, 1e-3], [1000, 1e-5]],
    "entropy_coeff": 0.5, "entropy_coeff_schedule": [[600, 0.2], [1000, 0.0]],
})
rates, coefficients = [], []
for _ in range(7):
    result = trainer.train()
    stats = result["info"]["learner"]["default_policy"]
    rates.append(round(float(stats["cur_lr"]), 7))
    coefficients.append(round(float(stats["entropy_coeff"]), 4))
print("steps before each update 0, 200, ... 1200: learning rates %s, entropy coefficients %s" % (rates, coefficients))
sys.exit(
    rates != [1e-5, 1e-5, 1e-5, 1e-3, 5.05e-4, 1e-5, 1e-5] or coefficients != [0.0, 0.0, 0.0, 0.2, 0.1, 0.0, 0.0]
)
PYTHON
env/bin/python check.py 2>/dev/null
# Seen: learning rates [1e-05, 1e-05, 1e-05, 0.001, 0.000505, 1e-05, 1e-05], entropy coefficients [0.0, 0.0, 0.0, 0.2, 0.1,
#   0.0, 0.0]
