#!/usr/bin/env bash
# What happens: sagemaker-training 5.1.4 starts the script with a dict as "a=1,b=2", what is in it as Python's str: the
#   hyperparameter {"fcnet": {"hiddens": [64, 64]}, "lstm": false} comes as "fcnet={'hiddens': [64, 64]},lstm=False". Two
#   dicts come as one text: {"a": "1", "b": "2"} and {"a": "1,b=2"}. A list comes as Python writes it, a null as an empty
#   text, a name of one letter with a single dash. The same values are JSON in the environment variables SM_HP_….
# One would have guessed: JSON, the form in which the hyperparameters are sent and in which the variables have them.
# Where it matters: json.loads of the argument fails, as ast.literal_eval does, and a parser for name=value takes half of
#   it; a script that is tried at hand with --model '{"fcnet": …}' reads another text in the job.
#
# Needs Python 3.11 (PYTHON names it, where it is not python3.11 on PATH) and a package index; takes about a minute.
# Exit status: 0 the library still behaves so, 1 it does not.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3.11}" -m venv "$work/env"
"$work/env/bin/pip" install --quiet --disable-pip-version-check 'sagemaker-training==5.1.4' 'numpy==2.4.6'
cd "$work"
mkdir -p base/input/config base/code base/output
cat > base/code/train.py <<'PYTHON'
import json
import os
import sys

with open(os.path.join(os.environ["SM_OUTPUT_DIR"], "seen.json"), "w") as file:
    json.dump({"argv": sys.argv[1:], "variable": os.environ["SM_HP_MODEL"]}, file)
PYTHON
cat > check.py <<'PYTHON'
import json
import os
import sys

os.environ["SAGEMAKER_BASE_DIR"] = os.path.join(os.getcwd(), "base")
from sagemaker_training import entry_point, environment

MODEL = {"fcnet": {"hiddens": [64, 64]}, "lstm": False}
GIVEN = {"model": MODEL, "one": {"a": "1", "b": "2"}, "two": {"a": "1,b=2"}, "sizes": ["s", 1], "clip": None, "n": 3}
with open("base/input/config/resourceconfig.json", "w") as file:
    json.dump({"current_host": "localhost", "hosts": ["localhost"], "network_interface_name": "lo"}, file)
with open("base/input/config/inputdataconfig.json", "w") as file:
    json.dump({}, file)
with open("base/input/config/hyperparameters.json", "w") as file:
    json.dump({name: json.dumps(value) for name, value in GIVEN.items()}, file)
made = environment.Environment()
entry_point.run(os.path.join(os.getcwd(), "base/code"), "train.py", made.to_cmd_args(), made.to_env_vars())
with open("base/output/seen.json") as file:
    seen = json.load(file)
words = seen["argv"]
arguments = dict(zip(words[::2], words[1::2]))
print(f"arguments: {arguments}\nvariable: {seen['variable']}")
expected = {
    "--model": "fcnet={'hiddens': [64, 64]},lstm=False", "--one": "a=1,b=2", "--two": "a=1,b=2", "--sizes": "['s', 1]",
    "--clip": "", "-n": "3",
}
sys.exit(not (arguments == expected and json.loads(seen["variable"]) == MODEL))
PYTHON
env/bin/python check.py
