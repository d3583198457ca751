#!/usr/bin/env bash
# What happens: the scheduler ASHA of Tune 2.60.0 stops a trial whose score is below the others' and lets one whose score is
#   NaN run to the end, past every rung: what cannot be compared with the cutoff is not below it.
# One would have guessed: a NaN is the worst score there is, or a trial without a score is stopped first.
# Where it matters: a trial that has diverged is what a search is to be rid of early, and it takes a machine for the longest
#   time of all; RLlib's mean reward is NaN, too, as long as no episode has ended.
#
# Needs Python 3.11 (PYTHON names it, where it is not python3.11 on PATH) and a package index; takes about a minute.
# Exit status: 0 the library still behaves so, 1 it does not.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3.11}" -m venv "$work/env"
"$work/env/bin/pip" install --quiet --disable-pip-version-check 'ray[tune]==2.60.0' 'numpy==2.4.6' 'pandas==3.1.1' 'pyarrow==26.0.1'
cd "$work"
cat > check.py <<'PYTHON'
import sys

from ray.tune.experiment import Trial
from ray.tune.schedulers import ASHAScheduler

SCORES = [5.0, float("nan"), 1.0, float("nan")]
scheduler = ASHAScheduler(metric="score", mode="max", grace_period=1, max_t=8, reduction_factor=2)
ran = []
for score in SCORES:  # one trial after another, each until the scheduler stops it
    trial, decision, iterations = Trial("trial", stub=True), ASHAScheduler.CONTINUE, 0
    scheduler.on_trial_add(None, trial)
    while decision == ASHAScheduler.CONTINUE:
        iterations += 1
        decision = scheduler.on_trial_result(None, trial, {"training_iteration": iterations, "score": score})
    print(f"score {score}: {iterations} of 8 iterations")
    ran.append(iterations)
sys.exit(ran != [8, 8, 1, 8])
PYTHON
env/bin/python check.py
