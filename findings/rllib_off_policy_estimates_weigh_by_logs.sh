#!/usr/bin/env bash
# What happens: the off-policy estimators of RLlib 0.8.5 take logarithms of the new policy's probabilities for the
#   probabilities: of episodes that the policy has just played itself, for which the importance sampling estimate is
#   the return that was seen, they say something else, with another sign at every other step (seen: a return of 25.28,
#   estimated at -5700.84).
# One would have guessed: the same policy before and after gives a ratio of 1 at each step, and an estimate equal to the
#   recorded return.
# Where it matters: "is" and "wis" are what RLlib computes by itself for whoever trains from files; a policy chosen by
#   V_step_IS is chosen by chance, and nothing looks broken, for the numbers are finite and of a plausible size.
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
import sys

import numpy as np
import ray
from ray.rllib.agents.pg import PGTrainer
from ray.rllib.offline.is_estimator import ImportanceSamplingEstimator

ray.init(num_cpus=2, include_webui=False)
trainer = PGTrainer(env="CartPole-v1", config={"num_workers": 0, "seed": 1, "batch_mode": "complete_episodes"})
worker = trainer.workers.local_worker()
episode = worker.sample().split_by_episode()[0]
if "action_prob" not in episode:
    episode["action_prob"] = np.exp(episode["action_logp"])
estimator = ImportanceSamplingEstimator(worker.get_policy(), gamma=0.99)
told = np.asarray(estimator.action_prob(episode))
metrics = estimator.estimate(episode).metrics
print(f"probabilities of {episode.count} actions: recorded {episode['action_prob'][:3]}, estimator's {told[:3]}")
print(f"return {metrics['V_prev']:.2f}, its estimate for the same policy {metrics['V_step_IS']:.2f}")
logs = np.allclose(np.exp(told), episode["action_prob"], atol=1e-4)
sys.exit(not (logs and abs(metrics["V_step_IS"] - metrics["V_prev"]) > 1))
PYTHON
env/bin/python check.py
