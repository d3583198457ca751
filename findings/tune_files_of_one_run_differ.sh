#!/usr/bin/env bash
# What happens: Tune 0.8.5 writes each result to three files, and none has all of it. progress.csv has the columns of the
#   first result: what comes later (an evaluation each second iteration) is never in it. The TensorBoard file leaves out
#   numpy's 64-bit integers and every bool, while numpy's 32-bit integers and Python's are there. result.json has numpy's
#   bool as the text "True" or "False". Nothing is said of any of it.
# One would have guessed: three forms of the same numbers; or a warning, or an empty column.
# Where it matters: a custom metric that counts (a numpy sum of integers is 64-bit) has no curve; an evaluation cannot be
#   found by who reads the CSV; and `if result["solved"]` on result.json is always true.
#
# Needs Python 3.8 (PYTHON names it, where it is not python3.8 on PATH) and a package index; takes a minute or two.
# Exit status: 0 the library still behaves so, 1 it does not.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3.8}" -m venv "$work/env"
"$work/env/bin/pip" install --quiet --disable-pip-version-check 'ray==0.8.5' 'protobuf==3.20.3' 'redis==3.4.1' 'numpy==1.23.5' 'aiohttp==3.8.6' 'setuptools==75.3.0' 'six==1.17.0' \
    'pandas==1.5.3' 'tabulate==0.9.0' 'tensorboardx==2.6.2.2' 'requests==2.32.4' 'tensorboard==2.13.0'
cd "$work"
cat > check.py <<'PYTHON'
import csv
import json
import pathlib
import sys

import numpy as np
import ray
from ray import tune
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

FIRST = {
    "python_int": 3, "numpy_int32": np.int32(3), "numpy_int64": np.int64(3), "python_bool": False, "numpy_bool": np.bool_(False),
}
NAMES = [*FIRST, "evaluation"]


class Results(tune.Trainable):
    def _setup(self, config):
        pass

    def _train(self):
        return {**FIRST, "evaluation": 1.5} if self.iteration % 2 else dict(FIRST)


ray.init(num_cpus=1, include_webui=False, logging_level="ERROR", log_to_driver=False)
tune.run(Results, name="run", stop={"training_iteration": 4}, local_dir="results", verbose=0)
(folder,) = pathlib.Path("results/run").glob("Results*")
events = EventAccumulator(str(folder))
events.Reload()
curves = {tag.replace("ray/tune/", "") for tag in events.Tags()["scalars"]}
with open(folder / "progress.csv") as file:
    columns = set(next(csv.reader(file)))
last = json.loads((folder / "result.json").read_text().splitlines()[-1])
print("TensorBoard lacks", [name for name in NAMES if name not in curves])
print("progress.csv lacks", [name for name in NAMES if name not in columns])
print("result.json has", {name: last[name] for name in NAMES})
holds = set(NAMES) - curves == {"numpy_int64", "python_bool", "numpy_bool"} and set(NAMES) - columns == {"evaluation"}
sys.exit(not (holds and last["python_bool"] is False and last["numpy_bool"] == "False" and last["evaluation"] == 1.5))
PYTHON
env/bin/python check.py 2>/dev/null
