#!/usr/bin/env bash
# What happens: a ModelTrainer of the SageMaker Python SDK 3.27.0 with a SourceCode starts its container by a script of the
#   SDK's own, which writes `export SM_HP_NAME='VALUE'` for each hyperparameter into a file and sources it under `set -e`. A dash
#   in the name becomes an underscore; a dot does not, so that of rl.training.config.lr the line is an error, and the job ends
#   with exit status 1 before the program has started. A value with a quote in it ends it likewise.
# One would have guessed: what CreateTrainingJob and version 2 of the SDK take as a hyperparameter's name is taken; sagemaker-
#   training sets such variables by Python, where any name will do.
# Where it matters: the programs of AWS's own examples of RL have hyperparameters rl.training.…. The same ModelTrainer without
#   a SourceCode hands them over, for then the image's own entry point reads hyperparameters.json.
#
# Needs Python 3.11 (PYTHON names it, where it is not python3.11 on PATH) and a package index; takes some seconds.
# Exit status: 0 the library still behaves so, 1 it does not.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3.11}" -m venv "$work/env"
"$work/env/bin/pip" install --quiet --disable-pip-version-check --no-deps 'sagemaker-train==1.27.0'
cd "$work"
cat > write.py <<'PYTHON'
import os
import sys
import sysconfig

drivers = os.path.join(sysconfig.get_path("purelib"), "sagemaker", "train", "container_drivers")
sys.path[:0] = [drivers, os.path.join(drivers, "scripts")]
os.environ["TRAINING_JOB_NAME"] = "job"
import environment

host = {"current_host": "algo-1", "hosts": ["algo-1"], "network_interface_name": "eth0"}
environment.set_env({**host, "current_instance_type": "local_cpu"}, {}, {sys.argv[1]: sys.argv[2]}, "sm_training.env")
PYTHON
sourced() { # how the SDK's script reads a hyperparameter, whose name and value are given
    env/bin/python write.py "$@" > log 2>&1 || { cat log; exit 2; }
    { bash -c 'set -e; source ./sm_training.env; echo started' 2>&1 || true; } | tail -1
}
plain=$(sourced lr 0.001) dot=$(sourced rl.training.config.lr 0.001) dash=$(sourced fc-size 64) quote=$(sourced greeting "it's")
printf '%s\n' "lr: $plain" "rl.training.config.lr: $dot" "fc-size: $dash" "greeting: $quote"
[[ $plain == started && $dot == *"not a valid identifier" && $dash == started && $quote != started ]]
