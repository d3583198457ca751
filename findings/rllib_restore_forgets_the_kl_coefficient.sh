#!/usr/bin/env bash
# What happens: restore of RLlib 0.8.5's PPO brings back the weights and the counters, and neither the KL coefficient that PPO
#   adapts after each iteration nor the optimizer's state. A trainer whose coefficient has come from 0.2 to 0.0125 in four
#   iterations is restored with 0.2, and with all of Adam's moments at zero; its next result says iteration 5 and has the 0.2.
# One would have guessed: a restored trainer goes on as the saved one does.
# Where it matters: a job that is interrupted and goes on, as on spot instances, makes its next steps with a penalty many times
#   the one it had found, or a small part of it, and with the steps that Adam makes first: the curve has a kink at each
#   interruption, which reads as the task's own; a comparison of runs compares how often they were interrupted, too.
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

import numpy as np
import ray
from gym.envs.classic_control import CartPoleEnv
from ray.rllib.agents.ppo import PPOTrainer
from ray.rllib.utils import try_import_tf

tf = try_import_tf()


class CartPole(CartPoleEnv):
    def __init__(self, config):
        super().__init__()


def made():
    """Make a trainer whose target of KL is out of reach, so that the coefficient is halved each time."""
    config = {"num_workers": 0, "train_batch_size": 200, "num_sgd_iter": 2, "kl_target": 10.0, "log_level": "ERROR"}
    return PPOTrainer(env=CartPole, config=config)


def moments(trainer):
    """Add up the sizes of Adam's moments."""
    session = trainer.get_policy().get_session()
    with session.graph.as_default():
        adam = [variable for variable in tf.global_variables() if "/Adam" in variable.op.name]
    return sum(float(np.abs(value).sum()) for value in session.run(adam))


def state(trainer):
    return {
        "iteration": trainer.iteration,
        "kl_coeff": round(trainer.get_policy().kl_coeff_val, 6),
        "moments": moments(trainer) > 0,
        "weights": [value.tolist() for _, value in sorted(trainer.get_policy().get_weights().items())],
    }


ray.init(num_cpus=1, include_webui=False, logging_level="ERROR")
saved = made()
for _ in range(4):
    saved.train()
restored = made()
restored.restore(saved.save("."))
before, after = state(saved), state(restored)
same_weights = before.pop("weights") == after.pop("weights")
print("saved %s, restored %s, the weights are the same: %s" % (before, after, same_weights))
result = restored.train()
used = result["training_iteration"], round(result["info"]["learner"]["default_policy"]["cur_kl_coeff"], 6)
print("the restored trainer's next iteration and its coefficient: %s, %s" % used)
sys.exit(
    not same_weights
    or before != {"iteration": 4, "kl_coeff": 0.0125, "moments": True}
    or after != {"iteration": 4, "kl_coeff": 0.2, "moments": False}
    or used != (5, 0.2)
)
PYTHON
env/bin/python check.py 2>/dev/null
# Seen: saved: kl_coeff 0.0125, moments; restored: kl_coeff 0.2, no moments, the same weights; iteration 5 is made with 0.2
