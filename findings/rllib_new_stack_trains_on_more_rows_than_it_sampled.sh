#!/usr/bin/env bash
# What happens: PPO of RLlib 2.60.0 with a batch of 200 steps, minibatches of 50 and one epoch trains on 250 rows, five
#   minibatches and not four: what prepares the advantages appends an artificial step to every episode, so that the batch
#   is longer by one row an episode (here 7 to 11), and the last, unfull minibatch is filled up.
# One would have guessed: 200 steps in minibatches of 50 are four updates an epoch, as in RLlib 0.8.5 and in all peers.
# Where it matters: in comparing PPO's implementations by "the same batch", in porting tuned settings of 0.8.5, and where
#   episodes are short: the shorter they are, the more updates are made of the same experience.
#
# Needs Python 3.11 (PYTHON names it, where it is not python3.11 on PATH) and a package index; PyTorch is a few GB.
# Exit status: 0 the library still behaves so, 1 it does not.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3.11}" -m venv "$work/env"
"$work/env/bin/pip" install --quiet --disable-pip-version-check 'ray[rllib]==2.60.0' 'torch==2.15.0' 'gymnasium==1.2.2' 'numpy==2.4.6'
cd "$work"
cat > check.py <<'PYTHON'
import logging
import sys

import ray
from ray.rllib.algorithms.ppo import PPOConfig

BATCH, MINIBATCH = 200, 50
ray.init(num_cpus=2, include_dashboard=False, logging_level=logging.ERROR)
config = (
    PPOConfig()
    .environment("CartPole-v1")
    .env_runners(num_env_runners=0, num_envs_per_env_runner=1, rollout_fragment_length=BATCH)
    .training(train_batch_size_per_learner=BATCH, minibatch_size=MINIBATCH, num_epochs=1)
    .debugging(seed=0)
)
algorithm = config.build_algo()
seen = []
for _ in range(4):
    result = algorithm.train()
    sampled = int(result["env_runners"]["num_env_steps_sampled"])
    trained = int(result["learners"]["default_policy"]["num_module_steps_trained"])
    seen.append((sampled, trained))
    print(f"sampled {sampled} steps, {result['env_runners']['num_episodes']} episodes ended; trained on {trained} rows")
sys.exit(seen != [(BATCH, BATCH + MINIBATCH)] * 4)
PYTHON
OMP_NUM_THREADS=1 CUDA_VISIBLE_DEVICES='' env/bin/python check.py
