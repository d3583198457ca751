#!/usr/bin/env bash
# What happens: highway-env 1.12.1 counts 1 / policy_frequency seconds for a step and simulates whole frames, rounded down:
#   with its simulation_frequency of 15 and a policy_frequency of 10, a step of 0.1 s simulates 0.067 s, and an episode with a
#   duration of 4 s ends after 2.67 s on the road and 67 of 100 m. With a policy_frequency of 20 it simulates nothing: no car
#   moves, each step has its reward, and the episode ends as one that was survived, with the highest return of all.
# One would have guessed: time is what was simulated; frequencies of which one does not divide the other, or a policy that is
#   quicker than the simulation, are refused, or a step has one frame at least.
# Where it matters: to decide more often is what one tries with a policy that reacts too late. With 10 the traffic is a third
#   slower and an episode a third shorter, so that any policy has fewer crashes; with 20 every policy is perfect.
#
# Needs Python 3.11 (PYTHON names it, where it is not python3.11 on PATH) and a package index; takes about a minute.
# Exit status: 0 the library still behaves so, 1 it does not.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3.11}" -m venv "$work/env"
"$work/env/bin/pip" install --quiet --disable-pip-version-check 'highway-env==1.12.1' 'gymnasium==1.4.0' 'numpy==2.4.6' 'pygame-ce==2.5.8'
cd "$work"
cat > check.py <<'PYTHON'
import sys

import gymnasium
import highway_env

gymnasium.register_envs(highway_env)


def drive(frequency):
    """Play an episode of four seconds; give its steps, the seconds it counted and simulated, metres, reward and end."""
    config = {"policy_frequency": frequency, "simulation_frequency": 15, "duration": 4, "vehicles_count": 1}
    env = gymnasium.make("highway-v0", config=config)
    env.reset(seed=1)
    road = env.unwrapped
    start, steps, total, end = float(road.vehicle.position[0]), 0, 0.0, False
    while not end:
        _, reward, terminated, truncated, _ = env.step(1)
        steps, total, end = steps + 1, total + float(reward), terminated or truncated
    moved = float(road.vehicle.position[0]) - start
    return steps, round(road.time, 2), round(road.steps / 15, 2), round(moved), round(total, 1), truncated


seen = {frequency: drive(frequency) for frequency in (5, 10, 15, 20)}
for frequency, numbers in seen.items():
    print("%2d Hz: %d steps, %s s counted, %s s simulated, %d m, reward %s, truncated: %s" % (frequency, *numbers))
sys.exit(seen != {
    5: (20, 4.0, 4.0, 100, 16.4, True),
    10: (40, 4.0, 2.67, 67, 32.9, True),
    15: (60, 4.0, 4.0, 100, 49.3, True),
    20: (81, 4.05, 0.0, 0, 66.6, True),
})
PYTHON
env/bin/python check.py
