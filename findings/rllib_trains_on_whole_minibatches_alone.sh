#!/usr/bin/env bash
# What happens: PPO of RLlib 0.8.5 with a batch of 100 steps and minibatches of 64 gives its loss the same 64 rows in each of its
#   three epochs; the other 36 are never trained on. Rows that do not fill a minibatch are dropped, after a shuffle, before the
#   first epoch. A batch of 120 trains on 64, too. The setting simple_optimizer=True trains on all, in minibatches of 64 and 36.
# One would have guessed: an epoch goes over all that was sampled, the last minibatch being smaller; or it is another part that
#   is left out in each epoch.
# Where it matters: a train_batch_size of 120 in place of 64 costs nearly twice the steps and trains on no more of them; with the
#   defaults, 4000 and 128, 32 steps an iteration are played in vain. The only sign is num_steps_trained below
#   num_steps_sampled, and comparisons of sample efficiency go by the second.
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

import gym
import numpy as np
import ray
from ray.rllib.agents.ppo import PPOTrainer
from ray.rllib.agents.ppo.ppo_tf_policy import PPOTFPolicy, ppo_surrogate_loss
from ray.rllib.utils import try_import_tf

tf = try_import_tf()
EPOCHS = 3


class Numbered(gym.Env):
    """Give each step's number as its observation; no two rows of a batch are equal."""

    def __init__(self, config):
        self.observation_space = gym.spaces.Box(0, 1e6, (1,), np.float32)
        self.action_space = gym.spaces.Discrete(2)
        self.steps = 0

    def reset(self):
        self.steps += 1
        return np.array([self.steps], np.float32)

    def step(self, action):
        self.steps += 1
        return np.array([self.steps], np.float32), 1.0, self.steps % 10 == 0, {}


given = []


def loss(policy, model, dist_class, train_batch):
    """Note the rows that the loss is given; return PPO's own."""
    noted = tf.py_func(lambda rows: given.append([int(row) for row in rows[:, 0]]), [train_batch["obs"]], [])
    with tf.control_dependencies([noted]):
        return tf.identity(ppo_surrogate_loss(policy, model, dist_class, train_batch))


Noting = PPOTFPolicy.with_updates(name="Noting", loss_fn=loss)
Trainer = PPOTrainer.with_updates(default_policy=Noting, get_policy_class=lambda config: Noting)


def trained(batch, **changes):
    """Train one iteration; give the steps sampled, the sizes of the minibatches and how many rows were in any of them."""
    config = {"num_workers": 0, "num_sgd_iter": EPOCHS, "rollout_fragment_length": 10, "log_level": "ERROR"}
    trainer = Trainer(env=Numbered, config=dict(config, train_batch_size=batch, sgd_minibatch_size=64, **changes))
    given.clear()
    sampled = trainer.train()["info"]["num_steps_sampled"]
    trainer.stop()
    seen = sampled, sorted(map(len, given)), len({row for minibatch in given for row in minibatch})
    print("%s steps sampled, minibatches of %s, %s rows trained on; %s" % (*seen, changes or "the default optimizer"))
    return seen


ray.init(num_cpus=1, include_webui=False, logging_level="ERROR")
seen = trained(100), trained(120), trained(100, simple_optimizer=True)
sys.exit(seen != ((100, [64] * 3, 64), (120, [64] * 3, 64), (100, [36] * 3 + [64] * 3, 100)))
PYTHON
env/bin/python check.py 2>/dev/null
# Seen: 100 steps sampled, minibatches of [64, 64, 64], 64 rows trained on; 120 steps, the same; with simple_optimizer 100 rows
