#!/usr/bin/env bash
# What happens: tune.run of Tune 0.8.5 with resume=True takes its trials, with their stop and their config, from the folder, and
#   drops what it is called with: an experiment that has ended at 3 iterations with a rate of 0.1, called again with a stop
#   of 6 and a rate of 0.5, trains nothing, and is given back as one that has ended well, with 3 and 0.1. A line of level
#   INFO says "ignoring new add_experiment", no more. With restore and the checkpoint's path it trains from 3 to 6, with 0.5.
# One would have guessed: what is passed counts, as it is all that stands in the program; or an error says that it differs.
# Where it matters: "train on for some more iterations, with a smaller rate" is what one resumes for: the job takes seconds,
#   succeeds, and has the old result, and who has changed the rate too compares a run with itself.
#
# Needs Python 3.8 (PYTHON names it, where it is not python3.8 on PATH) and a package index; takes a minute or two.
# Exit status: 0 the library still behaves so, 1 it does not.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3.8}" -m venv "$work/env"
"$work/env/bin/pip" install --quiet --disable-pip-version-check 'ray==0.8.5' 'protobuf==3.20.3' 'redis==3.4.1' 'numpy==1.23.5' 'aiohttp==3.8.6' 'setuptools==75.3.0' 'six==1.17.0' \
    'pandas==1.5.3' 'tabulate==0.9.0' 'tensorboardx==2.6.2.2' 'requests==2.32.4'
cd "$work"
cat > check.py <<'PYTHON'
import glob
import os
import sys

import ray
from ray import tune


class Counter(tune.Trainable):
    """Count the iterations; report the rate it was given."""

    def _setup(self, config):
        self.count = 0

    def _train(self):
        self.count += 1
        return {"count": self.count, "rate": self.config["rate"]}

    def _save(self, folder):
        path = os.path.join(folder, "count")
        with open(path, "w") as file:
            file.write(str(self.count))
        return path

    def _restore(self, path):
        with open(path) as file:
            self.count = int(file.read())


def ended(name, stop, rate, **options):
    """Run the experiment; give how its only trial ended, its iterations and its rate."""
    trial, = tune.run(
        Counter, name=name, local_dir=os.getcwd(), stop={"training_iteration": stop}, config={"rate": rate},
        checkpoint_freq=1, checkpoint_at_end=True, verbose=0, **options,
    ).trials
    return trial.status, trial.last_result["count"], trial.last_result["rate"]


ray.init(num_cpus=1, include_webui=False, logging_level="ERROR")
first, resumed = ended("one", 3, 0.1), ended("one", 6, 0.5, resume=True)
restored = ended("two", 6, 0.5, restore=glob.glob("one/*/checkpoint_3/count")[0])
print("first %s, resumed %s, restored %s" % (first, resumed, restored))
sys.exit([first, resumed, restored] != [("TERMINATED", 3, 0.1), ("TERMINATED", 3, 0.1), ("TERMINATED", 6, 0.5)])
PYTHON
env/bin/python check.py
