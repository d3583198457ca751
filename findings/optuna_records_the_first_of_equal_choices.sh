#!/usr/bin/env bash
# What happens: suggest_categorical of Optuna 5.0.0 gives a trial the choice that it has drawn, and records the first that is
#   equal to it. Of the choices 1 and 1.0, where 1.0 scores 1 and 1 scores 0, trials are given both, all are recorded with 1, and
#   best_params is 1, with a score of 1, which no trial has that was given 1. So it is with 0 and False. Nothing is said.
# One would have guessed: what a trial was given is what is recorded; or choices that are equal are refused.
# Where it matters: 1 and 1.0 are one and all where a number is a count as an int and a share as a float, and False and 0 are
#   off and none: the search ends with the setting that lost, and its sampler learns from both scores for one value.
#
# Needs Python 3.11 (PYTHON names it, where it is not python3.11 on PATH) and a package index; takes about a minute.
# Exit status: 0 the library still behaves so, 1 it does not.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3.11}" -m venv "$work/env"
"$work/env/bin/pip" install --quiet --disable-pip-version-check 'optuna==5.0.0' 'numpy==2.4.6'
cd "$work"
cat > check.py <<'PYTHON'
import sys

import optuna

optuna.logging.set_verbosity(optuna.logging.ERROR)


def searched(first, second):
    """Search over two equal choices, of which the second is better; give what was given, recorded and found best."""
    study, given = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=1)), set()

    def score(trial):
        value = trial.suggest_categorical("value", [first, second])
        given.add(repr(value))
        return float(value is second)

    study.optimize(score, 30)
    recorded = {repr(trial.params["value"]) for trial in study.trials}
    return sorted(given), sorted(recorded), repr(study.best_params["value"]), study.best_value


seen = [searched(1, 1.0), searched(0, False)]
print(f"given, recorded, best and its score: {seen}")
sys.exit(seen != [(["1", "1.0"], ["1"], "1", 1.0), (["0", "False"], ["0"], "0", 1.0)])
PYTHON
env/bin/python check.py
