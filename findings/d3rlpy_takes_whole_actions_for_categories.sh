#!/usr/bin/env bash
# What happens: d3rlpy 2.8.1 takes actions for categories where all of them are whole numbers, whatever their type and shape: a
#   column of -1.0 and 1.0 in float32, as a controller of full thrust records it, is a discrete space of 2, the largest number
#   and one more; with a single 0.5 among them it is a continuous space of 1. BC, which is for continuous actions, then
#   predicts two numbers for the one. Categories of 0 to 2, of four that there are, are a space of 3.
# One would have guessed: the type or the column tells the two apart, and a policy has as many outputs as there were inputs.
# Where it matters: offline data come from rules that go to the bounds, or round: the same environment is of another kind by
#   what was recorded. DiscreteBC is built from it, and answers with 0 or 1, where -1 or 1 was recorded. action_space and
#   action_size, given to MDPDataset, settle it.
#
# Needs Python 3.11 (PYTHON names it, where it is not python3.11 on PATH) and a package index; PyTorch is a few GB.
# Exit status: 0 the library still behaves so, 1 it does not.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3.11}" -m venv "$work/env"
"$work/env/bin/pip" install --quiet --disable-pip-version-check 'd3rlpy==2.8.1' 'torch==2.15.0' 'numpy==2.4.6' 'gymnasium==1.0.0'
cd "$work"
cat > check.py <<'PYTHON'
import sys

import numpy as np
from d3rlpy.algos import BCConfig
from d3rlpy.dataset import MDPDataset


def episode(*actions):
    """Make a dataset of one episode with these actions."""
    steps = len(actions)
    return MDPDataset(
        observations=np.zeros((steps, 2), np.float32),
        actions=np.array(actions),
        rewards=np.zeros(steps, np.float32),
        terminals=np.array([0.0] * (steps - 1) + [1.0], np.float32),
    )


full, half, categories = np.float32([[-1], [1], [1]]), np.float32([[-1], [1], [0.5]]), np.array([0, 1, 2])
datasets = {name: episode(*actions) for name, actions in (("full", full), ("half", half), ("categories", categories))}
seen = {name: (each.dataset_info.action_space.name, int(each.dataset_info.action_size)) for name, each in datasets.items()}
agent = BCConfig().create()
agent.build_with_dataset(datasets["full"])
width = agent.predict(np.zeros((1, 2), np.float32)).shape[1]
print(f"full thrust, one at half, categories: {seen}; BC, from one column of full thrust, predicts {width}", file=sys.stderr)
sys.exit(not (seen == {"full": ("DISCRETE", 2), "half": ("CONTINUOUS", 1), "categories": ("DISCRETE", 3)} and width == 2))
PYTHON
env/bin/python check.py > /dev/null
