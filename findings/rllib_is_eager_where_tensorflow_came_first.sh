#!/usr/bin/env bash
# What happens: RLlib 0.8.5 with TensorFlow 2 turns eager execution off when it is the one to import TensorFlow. Where a program
#   has done so before it, "import tensorflow" in a line above, it leaves it on, and every trainer, though its setting "eager" is
#   False, has an eager policy: PPO gets PPOTFPolicy_eager and another optimizer, SyncSamples in place of LocalMultiGPU, and
#   trains on 1000 rows of 1000 where the other order trains on 896. Its remote worker has a graph policy either way. Nothing
#   is said.
# One would have guessed: the setting "eager" decides, and the order of two imports changes nothing.
# Where it matters: an import that a formatter moves, or an environment that imports TensorFlow, makes the same program several
#   times slower (3.7 s against 1.0 s were seen for a first iteration of five epochs) and its updates other ones; a look at the
#   policy of a worker, or at trainer.config["eager"], says that all is as it was.
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
import subprocess
import sys

PROGRAM = """
import ray
from ray.rllib.agents.ppo import PPOTrainer
from gym.envs.classic_control import CartPoleEnv


class CartPole(CartPoleEnv):
    def __init__(self, config):
        super().__init__()


ray.init(num_cpus=2, include_webui=False, logging_level="ERROR", log_to_driver=False)
trainer = PPOTrainer(env=CartPole, config={
    "num_workers": 1, "eager": False, "rollout_fragment_length": 200, "train_batch_size": 1000, "num_sgd_iter": 1,
    "log_level": "ERROR",
})
trained = trainer.train()["info"]["num_steps_trained"]
kinds = trainer.workers.foreach_worker(lambda worker: type(worker.get_policy()).__name__)
print(trainer.config["eager"], *kinds, type(trainer.optimizer).__name__, trained)
"""
IMPORT = "import tensorflow\n"
TRAINER = "from ray.rllib.agents.ppo import PPOTrainer\n"


def made(program):
    """Run a program; give its last line: the setting, the policies of trainer and worker, the optimizer, the rows."""
    return subprocess.check_output([sys.executable, "-c", program], text=True).strip().split("\n")[-1]


before, after = made(IMPORT + PROGRAM), made(PROGRAM.replace(TRAINER, TRAINER + IMPORT))
print("TensorFlow before RLlib: %s; after: %s" % (before, after))
sys.exit(
    before != "False PPOTFPolicy_eager PPOTFPolicy SyncSamplesOptimizer 1000"
    or after != "False PPOTFPolicy PPOTFPolicy LocalMultiGPUOptimizer 896"
)
PYTHON
env/bin/python check.py 2>/dev/null
# Seen: before: False PPOTFPolicy_eager PPOTFPolicy SyncSamplesOptimizer 1000; after: False PPOTFPolicy PPOTFPolicy
#   LocalMultiGPUOptimizer 896
