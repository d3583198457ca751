#!/usr/bin/env bash
# What happens: where GPUtil is installed, whoever imports it, each RLlib 0.8.5 trainer starts nvidia-smi every 0.7 seconds,
#   by a fork of its own process, also where there is no GPU and no nvidia-smi to start. It goes on after trainer.stop():
#   the thread ends with the process.
# One would have guessed: a package that reads how busy GPUs are does so when it is called, and a trainer that has been
#   stopped does nothing any more.
# Where it matters: adding GPUtil to an image, as AWS's for RLlib had it, makes every trainer fork for ever, which is the
#   dearer the more memory it has; and a process that makes one trainer after the other, as tests and searches do, forks
#   more with each, until it does little else. The setting "log_sys_usage": False turns it off.
#
# Needs Python 3.8 (PYTHON names it, where it is not python3.8 on PATH) and a package index; takes a minute or two.
# Exit status: 0 the library still behaves so, 1 it does not.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3.8}" -m venv "$work/env"
"$work/env/bin/pip" install --quiet --disable-pip-version-check 'ray==0.8.5' 'protobuf==3.20.3' 'redis==3.4.1' 'numpy==1.23.5' 'aiohttp==3.8.6' 'setuptools==75.3.0' 'six==1.17.0' \
    'gym==0.22.0' 'dm-tree==0.1.8' 'pandas==1.5.3' 'scipy==1.10.1' 'opencv-python-headless==4.8.1.78' 'lz4==4.3.3' \
    'tabulate==0.9.0' 'tensorboardx==2.6.2.2' 'requests==2.32.4' 'tensorflow-cpu==2.13.1' 'pygame==2.1.0' 'gputil==1.4.0'
mkdir "$work/bin"
printf '#!/bin/sh\necho "$1" >> "%s/started"\nexit 9\n' "$work" > "$work/bin/nvidia-smi"
chmod +x "$work/bin/nvidia-smi"
cd "$work"
touch started
cat > check.py <<'PYTHON'
import sys
import time
from pathlib import Path

import ray
from ray.rllib.agents.pg import PGTrainer

STARTED = Path("started")


def starts():
    return sum(line.startswith("--query-gpu=index") for line in STARTED.read_text().splitlines())


def more(seconds):
    """Waits for three more starts, or so long; returns how many there were."""
    before, until = starts(), time.monotonic() + seconds
    while starts() < before + 3 and time.monotonic() < until:
        time.sleep(0.05)
    return starts() - before


ray.init(num_cpus=1, include_webui=False)
config = {"num_workers": 0, "rollout_fragment_length": 10, "train_batch_size": 10}
PGTrainer(env="CartPole-v1", config={**config, "log_sys_usage": False}).stop()
off = more(4)
trainer = PGTrainer(env="CartPole-v1", config=config)
idle = more(20)
trainer.stop()
stopped = more(20)
print(f"nvidia-smi was started {off} times with log_sys_usage off, then {idle} times by a trainer that does nothing, and")
print(f"{stopped} times more after its stop()")
sys.exit(not (off == 0 and idle >= 3 and stopped >= 3))
PYTHON
PATH="$work/bin:$PATH" env/bin/python check.py
