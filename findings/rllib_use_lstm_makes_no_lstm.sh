#!/usr/bin/env bash
# What happens: RLlib 0.8.5 with TensorFlow makes no LSTM for {"model": {"use_lstm": True}}: the network is the plain one, with
#   the same weights as without, its policy has no state, and the batch has no state_in_0. No error and no warning is given,
#   and trainer.config says True. It is so with PG, A2C and PPO. max_seq_len, lstm_cell_size and lstm_use_prev_action_reward
#   have no effect either. A model of one's own that is recurrent is trained as such.
# One would have guessed: a setting that is documented, and that three more depend on, makes the network it names, or is refused.
# Where it matters: where something has to be remembered the agent cannot learn, and one looks for the fault in cell size,
#   sequence length or learning rate; where nothing has to be, "the LSTM" does as well as the plain network: it is that.
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
from ray.rllib.agents.a3c import A2CTrainer
from ray.rllib.agents.pg import PGTrainer
from ray.rllib.agents.ppo import PPOTrainer


class CartPole(CartPoleEnv):
    def __init__(self, config):
        super().__init__()


def network(cls, use_lstm):
    """Make a trainer; give what its config says, the network's weights, its states and whether the batch has a state."""
    trainer = cls(env=CartPole, config={
        "num_workers": 0, "model": {"use_lstm": use_lstm, "fcnet_hiddens": [8], "lstm_cell_size": 16}, "log_level": "ERROR",
    })
    policy = trainer.get_policy()
    asked = trainer.config["model"]["use_lstm"]
    weights = {name: value.shape for name, value in policy.get_weights().items()}
    states = len(policy.get_initial_state())
    in_batch = "state_in_0" in trainer.workers.local_worker().sample().keys()
    trainer.stop()
    return asked, weights, states, in_batch


ray.init(num_cpus=1, include_webui=False, logging_level="ERROR")
same = {}
for cls in (PGTrainer, A2CTrainer, PPOTrainer):
    (plain, weights, *_), (asked, lstm_weights, states, in_batch) = network(cls, False), network(cls, True)
    print("%s: use_lstm %s and %s; the same weights: %s; states: %s; state in the batch: %s" % (
        cls._name, plain, asked, weights == lstm_weights, states, in_batch))
    same[cls._name] = (plain, asked, weights == lstm_weights, states, in_batch) == (False, True, True, 0, False)
sys.exit(same != {"PG": True, "A2C": True, "PPO": True})
PYTHON
env/bin/python check.py 2>/dev/null
# Seen: PG, A2C, PPO: use_lstm False and True; the same weights: True; states: 0; state in the batch: False
