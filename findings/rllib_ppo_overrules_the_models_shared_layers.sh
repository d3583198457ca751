#!/usr/bin/env bash
# What happens: RLlib 0.8.5 has the setting vf_share_layers twice: of the model, true by default, and of PPO itself, false by
#   default. PPO writes its own over the model's, without a word: with {"model": {"vf_share_layers": True}} the value function
#   has layers of its own, though trainer.config still shows True; and with vf_share_layers=True beside it, a model's False is
#   overruled as well. A2C, which has no such setting of its own, does what the model's says.
# One would have guessed: what is set in the model's settings is what the model does; or setting both differently is refused.
# Where it matters: a model's settings that are taken from one algorithm to another give another network with PPO; a comparison
#   of shared layers with separate ones compares separate ones with themselves; vf_loss_coeff, which is to be tuned where
#   layers are shared, is tuned in vain.
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
from ray.rllib.agents.ppo import PPOTrainer


class CartPole(CartPoleEnv):
    def __init__(self, config):
        super().__init__()


def shared(cls, model, **changes):
    """Make a trainer; give what its config says of shared layers, and whether they are."""
    config = {"num_workers": 0, "model": {"vf_share_layers": model, "fcnet_hiddens": [8]}, "log_level": "ERROR"}
    trainer = cls(env=CartPole, config=dict(config, **changes))
    said = trainer.config["model"]["vf_share_layers"]
    own_layers = [name for name in trainer.get_policy().get_weights() if "fc_value" in name]
    trainer.stop()
    return said, not own_layers


ray.init(num_cpus=1, include_webui=False, logging_level="ERROR")
seen = {
    "PPO, model True": shared(PPOTrainer, True),
    "PPO, model False and PPO's True": shared(PPOTrainer, False, vf_share_layers=True),
    "A2C, model True": shared(A2CTrainer, True),
    "A2C, model False": shared(A2CTrainer, False),
}
for name, (said, found) in seen.items():
    print("%s: the model's setting reads %s, layers are shared: %s" % (name, said, found))
sys.exit(list(seen.values()) != [(True, False), (False, True), (True, True), (False, False)])
PYTHON
env/bin/python check.py 2>/dev/null
# Seen: PPO, model True: reads True, shared: False; model False and PPO's True: reads False, shared: True; A2C: as it reads
