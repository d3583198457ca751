#!/usr/bin/env bash
# What happens: PolynomialSchedule of RLlib 0.8.5, of which its documentation says that it returns final_p from its end on, goes
#   on with the polynomial: from 1.0 to 0.1 over 1000 steps it is 0.1 at 1000, 0.325 at 1500, 1.0 again at 2000 and 8.2 at 4000.
#   LinearSchedule, which is one with a power of 1, goes below: -0.8 at 2000. PiecewiseSchedule stays at its last value.
# One would have guessed: final_p from the end on, as it says there.
# Where it matters: as an epsilon_schedule, in a training that goes on after its exploration should have ended: after twice the
#   time it acts at random again, as at the start, and from then on; the curve falls long after the time one looks at. An
#   epsilon below zero explores as none does, so that the linear one, which one tries first, shows nothing of it.
#
# Needs Python 3.8 (PYTHON names it, where it is not python3.8 on PATH) and a package index; takes about a minute.
# Exit status: 0 the library still behaves so, 1 it does not.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3.8}" -m venv "$work/env"
"$work/env/bin/pip" install --quiet --disable-pip-version-check 'ray==0.8.5' 'protobuf==3.20.3' 'redis==3.4.1' 'numpy==1.23.5' 'aiohttp==3.8.6' 'setuptools==75.3.0' 'six==1.17.0' \
    'gym==0.22.0' 'dm-tree==0.1.8' 'pandas==1.5.3' 'scipy==1.10.1' 'opencv-python-headless==4.8.1.78' 'lz4==4.3.3' \
    'tabulate==0.9.0' 'tensorboardx==2.6.2.2' 'requests==2.32.4'
cd "$work"
cat > check.py <<'PYTHON'
import sys

from ray.rllib.utils.from_config import from_config
from ray.rllib.utils.schedules import PiecewiseSchedule, Schedule

OVER = {"schedule_timesteps": 1000, "initial_p": 1.0, "final_p": 0.1}
schedules = {
    kind: from_config(Schedule, dict(OVER, type=kind), framework=None) for kind in ("PolynomialSchedule", "LinearSchedule")
}
schedules["PiecewiseSchedule"] = PiecewiseSchedule(endpoints=[(0, 1.0), (1000, 0.1)], outside_value=0.1, framework=None)
seen = {kind: [round(each.value(step), 4) for step in (0, 500, 1000, 1500, 2000, 4000)] for kind, each in schedules.items()}
print("at 0, 500, 1000, 1500, 2000 and 4000 steps: %s" % seen)
sys.exit(seen != {
    "PolynomialSchedule": [1.0, 0.325, 0.1, 0.325, 1.0, 8.2],
    "LinearSchedule": [1.0, 0.55, 0.1, -0.35, -0.8, -2.6],
    "PiecewiseSchedule": [1.0, 0.55, 0.1, 0.1, 0.1, 0.1],
})
PYTHON
env/bin/python check.py
