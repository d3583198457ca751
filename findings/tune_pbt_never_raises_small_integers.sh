#!/usr/bin/env bash
# What happens: population based training of Tune 0.8.5 multiplies a hyperparameter by 1.2 or 0.8 and cuts an integer to what
#   stands before the point: 1 to 4 never rise, only stay or fall, and 1 becomes 0, where it stays. A hundred perturbations
#   of an 8 end at 0.
# One would have guessed: an integer rises as often as it falls, as a float does.
# Where it matters: num_sgd_iter, num_envs_per_worker, n_step or a number of layers are small integers: the population
#   drifts to the smallest by rounding and not by reward, and what it found reads as a result. A list of values has no such
#   drift.
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
import random
import sys

from ray.tune.schedulers.pbt import explore

random.seed(1)


def perturbed(value):
    """Perturb a value once, without drawing it anew."""
    return explore({"num_sgd_iter": value}, {"num_sgd_iter": lambda: None}, 0, None)["num_sgd_iter"]


def reached(value):
    """List what a thousand perturbations make of a value."""
    return sorted({perturbed(value) for _ in range(1000)})


whole = {value: reached(value) for value in (1, 2, 3, 4, 5)}
print(f"of integers {whole}, of the float 4.0 {reached(4.0)}")
walk = [8]
for _ in range(100):
    walk.append(perturbed(walk[-1]))
print(f"8, perturbed again and again: {walk[:20]}, after a hundred {walk[-1]}")
falls = all(whole[value] == [value - 1, value] for value in (1, 2, 3, 4))
sys.exit(not (falls and whole[5] == [4, 6] and walk[-1] == 0))
PYTHON
env/bin/python check.py
