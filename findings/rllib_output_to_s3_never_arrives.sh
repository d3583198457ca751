#!/usr/bin/env bash
# What happens: RLlib 0.8.5 with "output": "s3://…" writes into a file that smart_open 4.2.0 uploads when it is closed, and
#   closes it when it has 64 MB. Nothing else does: after three iterations, trainer.stop(), ray.shutdown() and the end of the
#   process the bucket is empty, with the trainer's own worker and with a remote one, without an error. The same job has its
#   600 steps in a local folder, flushed after each batch.
# One would have guessed: a path that RLlib takes for output is written to, at the latest when the trainer is stopped.
# Where it matters: 64 MB are a hundred thousand steps of a small environment and more, for each worker: a job that is meant to
#   collect experience ends well and has collected none, or none of its last hours.
#
# Needs Python 3.8 (PYTHON names it, where it is not python3.8 on PATH) and a package index; takes a minute or two.
# Exit status: 0 the library still behaves so, 1 it does not.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3.8}" -m venv "$work/env"
"$work/env/bin/pip" install --quiet --disable-pip-version-check 'setuptools==65.5.0' 'wheel==0.38.4'
"$work/env/bin/pip" install --quiet --disable-pip-version-check --no-build-isolation 'smart_open==4.2.0'
"$work/env/bin/pip" install --quiet --disable-pip-version-check 'ray==0.8.5' 'protobuf==3.20.3' 'redis==3.4.1' 'numpy==1.23.5' 'aiohttp==3.8.6' 'setuptools==75.3.0' 'six==1.17.0' \
    'gym==0.22.0' 'dm-tree==0.1.8' 'pandas==1.5.3' 'scipy==1.10.1' 'opencv-python-headless==4.8.1.78' 'lz4==4.3.3' \
    'tabulate==0.9.0' 'tensorboardx==2.6.2.2' 'requests==2.32.4' 'moto[s3,server]==5.0.28' 'boto3==1.37.38'
cd "$work"
cat > check.py <<'PYTHON'
import glob
import json
import os
import subprocess
import sys

os.environ.update(AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test", AWS_DEFAULT_REGION="us-east-1")
import boto3
import gym
import numpy as np
import ray
from ray.rllib.agents.trainer import with_common_config
from ray.rllib.agents.trainer_template import build_trainer
from ray.rllib.policy.policy import Policy


class Zero(Policy):
    """Take the action 0, and learn nothing; it needs no TensorFlow."""

    def compute_actions(self, obs_batch, *args, **kwargs):
        return np.zeros(len(obs_batch), np.int64), [], {}

    def learn_on_batch(self, samples):
        return {}

    def get_weights(self):
        return {}

    def set_weights(self, weights):
        pass


class Short(gym.Env):
    """Give the configured reward, five times."""

    def __init__(self, config):
        self.observation_space = gym.spaces.Box(-1.0, 1.0, (1,), np.float32)
        self.action_space = gym.spaces.Discrete(2)
        self.reward, self.left = config.get("reward", 1.0), 0

    def reset(self):
        self.left = 5
        return np.zeros(1, np.float32)

    def step(self, action):
        self.left -= 1
        return np.zeros(1, np.float32), self.reward, self.left == 0, {}


Trainer = build_trainer(name="Zero", default_policy=Zero, default_config=with_common_config({}))


def job(output, workers):
    """Train three iterations of 200 steps, and end in good order."""
    ray.init(num_cpus=2, include_webui=False, logging_level="ERROR")
    trainer = Trainer(env=Short, config={
        "num_workers": workers, "train_batch_size": 200, "rollout_fragment_length": 100, "log_level": "ERROR", "output": output,
    })
    for _ in range(3):
        trainer.train()
    trainer.stop()
    ray.shutdown()


def steps(lines):
    """Give the number of steps in files of output."""
    return sum(len(json.loads(line)["rewards"]) for line in lines)


def main():
    """Run the job with each output in a process of its own; give the exit status of this check."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    os.environ["AWS_ENDPOINT_URL"] = "http://%s:%d" % server.get_host_and_port()
    bucket = boto3.resource("s3").create_bucket(Bucket="a-bucket")
    folder = os.path.join(os.getcwd(), "episodes")
    cases = [(folder, 0), ("s3://a-bucket/own", 0), ("s3://a-bucket/remote", 1)]
    ended = [subprocess.run([sys.executable, __file__, output, str(workers)]).returncode for output, workers in cases]
    local = steps(line for path in glob.glob(folder + "/*.json") for line in open(path))
    objects = [item.key for item in bucket.objects.all()]
    print("jobs ended with %s; steps in the folder: %d; objects in the bucket: %s" % (ended, local, objects))
    server.stop()
    return not (ended == [0, 0, 0] and local == 600 and objects == [])


if len(sys.argv) > 1:
    job(sys.argv[1], int(sys.argv[2]))
else:
    sys.exit(main())
PYTHON
env/bin/python check.py 2>/dev/null
