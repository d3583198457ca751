#!/usr/bin/env bash
# What happens: the distribution of RLlib 0.8.5's own example of autoregressive actions returns from sampled_action_logp the
#   probability of what it has drawn, and not its logarithm: PPO's batch then has an action_logp between 0 and 1, about
#   0.25 for four equally likely pairs, where -1.39 belongs, and the ratio of new to old probability begins at exp(-1.6).
# One would have guessed: an example that the documentation points to has the sign and scale that its base class names.
# Where it matters: everyone's own distribution of dependent actions was begun as a copy of it. It learns all the same,
#   slower and with a clipped ratio from the first step on, so nobody is told.
#
# Needs Python 3.8 (PYTHON names it, where it is not python3.8 on PATH) and a package index; takes a minute or two.
# Exit status: 0 the library still behaves so, 1 it does not.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3.8}" -m venv "$work/env"
"$work/env/bin/pip" install --quiet --disable-pip-version-check 'ray==0.8.5' 'protobuf==3.20.3' 'redis==3.4.1' 'numpy==1.23.5' 'aiohttp==3.8.6' 'setuptools==75.3.0' 'six==1.17.0' \
    'gym==0.22.0' 'dm-tree==0.1.8' 'pandas==1.5.3' 'scipy==1.10.1' 'opencv-python-headless==4.8.1.78' 'lz4==4.3.3' \
    'tabulate==0.9.0' 'tensorboardx==2.6.2.2' 'requests==2.32.4' 'tensorflow-cpu==2.13.1'
cd "$work"
cat > check.py <<'PYTHON'
import sys

import numpy as np
import ray
from ray.rllib.agents.ppo import PPOTrainer
from ray.rllib.examples import autoregressive_action_dist as example
from ray.rllib.models import ModelCatalog

ray.init(num_cpus=2, include_webui=False)
ModelCatalog.register_custom_model("autoregressive_model", example.AutoregressiveActionsModel)
ModelCatalog.register_custom_action_dist("binary_autoreg_output", example.BinaryAutoregressiveOutput)
model = {"custom_model": "autoregressive_model", "custom_action_dist": "binary_autoreg_output"}
trainer = PPOTrainer(
    env=example.CorrelatedActionsEnv,
    config={"num_workers": 0, "gamma": 0.5, "model": model, "seed": 1, "rollout_fragment_length": 200},
)
logs = np.asarray(trainer.workers.local_worker().sample()["action_logp"])
print(f"action_logp of {len(logs)} steps: {logs.min():.3f} to {logs.max():.3f}, mean {logs.mean():.3f}")
sys.exit(not (logs.min() > 0 and logs.max() < 1))
PYTHON
env/bin/python check.py
