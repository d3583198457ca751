#!/usr/bin/env bash
# What happens: RLlib 0.8.5 with a seed calls the environment's seed once for each worker, on the first environment it makes;
#   the others of num_envs_per_worker are never seeded. Two runs of the same seed give the same batch with one environment
#   a worker, and different ones with two, from the second environment's first observation on.
# One would have guessed: a seed makes a run the same again, with as many environments as it has, each with one of its own.
# Where it matters: num_envs_per_worker is the usual way to sample faster; comparisons by seed then compare by chance, and
#   as the first environment does repeat, a look at the first rows says that the seed works.
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
from gym.envs.classic_control import CartPoleEnv
from ray.rllib.agents.pg import PGTrainer


class Told(CartPoleEnv):
    made = []

    def __init__(self, config):
        super().__init__()
        self.seeds = []
        Told.made.append(self)

    def seed(self, seed=None):
        self.seeds.append(seed)
        return super().seed(seed)


def sampled(envs):
    """Sample one batch of a new trainer; give its observations and the seeds that each environment was given."""
    Told.made.clear()
    trainer = PGTrainer(env=Told, config={"num_workers": 0, "num_envs_per_worker": envs, "seed": 1, "log_level": "ERROR"})
    observations = trainer.workers.local_worker().sample()["obs"]
    seeds = [env.seeds for env in Told.made]
    trainer.stop()
    return observations, seeds


ray.init(num_cpus=1, include_webui=False, logging_level="ERROR")
same, seeds = {}, {}
for envs in (1, 2):
    (one, seeds[envs]), (other, _) = sampled(envs), sampled(envs)
    same[envs] = np.array_equal(one, other)
    print(f"{envs} a worker: seeds {seeds[envs]}, first rows equal: {np.array_equal(one[0], other[0])}, all: {same[envs]}")
sys.exit((same, seeds) != ({1: True, 2: False}, {1: [[1]], 2: [[1], []]}))
PYTHON
env/bin/python check.py 2>/dev/null
