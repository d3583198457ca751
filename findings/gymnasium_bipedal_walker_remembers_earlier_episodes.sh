#!/usr/bin/env bash
# What happens: one BipedalWalker-v3 of Gymnasium 1.4.0 that is reset with the same seed and given the same actions eight times
#   over does not play the same episode eight times: here the third is another one, from its first step on. Each of six new
#   environments plays what the first one did. A reset takes the old bodies out of Box2D's world and keeps the world, whose
#   order is another then. LunarLander-v3, which makes a new world, plays the same each time.
# One would have guessed: a seed and a list of actions decide an episode, in a used environment as in a new one.
# Where it matters: evaluations with fixed seeds compare policies by what was played before, too; a check that plays a seed twice
#   finds nothing, because the second time is the same.
#
# Needs Python 3.11 (PYTHON names it, where it is not python3.11 on PATH) and a package index; takes about a minute.
# Exit status: 0 the library still behaves so, 1 it does not.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3.11}" -m venv "$work/env"
"$work/env/bin/pip" install --quiet --disable-pip-version-check 'gymnasium==1.4.0' 'numpy==2.4.6' 'box2d==2.3.10' 'pygame==2.6.1'
cd "$work"
cat > check.py <<'PYTHON'
import sys

import gymnasium
import numpy as np


def played(env):
    """Play 60 steps of the same actions from a seed of 3; give the observations as bytes, and the return."""
    actions = np.random.default_rng(0).uniform(-1, 1, (60, *env.action_space.shape)).astype(np.float32)
    seen, total = [env.reset(seed=3)[0].tobytes()], 0.0
    for action in actions:
        observation, reward, terminated, truncated, _ = env.step(action)
        seen.append(observation.tobytes())
        total += float(reward)
        if terminated or truncated:
            break
    return tuple(seen), total


def episodes(name, options):
    """Play in six new environments, and eight times in one; give both lists of episodes."""
    one = gymnasium.make(name, **options)
    return [played(gymnasium.make(name, **options)) for _ in range(6)], [played(one) for _ in range(8)]


walker = episodes("BipedalWalker-v3", {})
lander = episodes("LunarLander-v3", {"continuous": True})
for name, lists in (("walker", walker), ("lander", lander)):
    for kind, found in zip(("new", "used"), lists):
        print(f"{name} {kind:4} {len(set(found))} different, returns {[round(total, 3) for _, total in found]}")
first = [len(set(episode[0][0] for episode in found)) for found in walker]
sys.exit(not ([len(set(found)) > 1 for found in (*walker, *lander)] == [False, True, False, False] and first == [1, 1]))
PYTHON
env/bin/python check.py
