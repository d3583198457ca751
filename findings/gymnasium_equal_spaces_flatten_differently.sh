#!/usr/bin/env bash
# What happens: Dict(speed=…, angle=…) keeps the order of its keywords, Dict({"speed": …, "angle": …}) sorts its keys, and
#   flatten puts the same observation into [speed, angle] with one and [angle, speed] with the other: in gym 0.26.2 as in
#   Gymnasium 1.4.0. In gym the two spaces are unequal; in Gymnasium they are equal, and so are their flattened spaces.
# One would have guessed: equal spaces flatten the same observation to the same numbers; and what told two layouts apart in
#   gym does so in Gymnasium, since "import gymnasium as gym" is all that gym itself asks for.
# Where it matters: comparing the space of a checkpoint with that of an environment is the guard against another layout. With
#   FlattenObservation, a policy passes it and gets its features swapped; it acts, badly, and no error says why.
#
# Needs Python 3.11 (PYTHON names it, where it is not python3.11 on PATH) and a package index; takes about a minute.
# Exit status: 0 the libraries still behave so, 1 they do not.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3.11}" -m venv "$work/env"
"$work/env/bin/pip" install --quiet --disable-pip-version-check 'gymnasium==1.4.0' 'gym==0.26.2' 'numpy==1.26.4'
cd "$work"
cat > check.py <<'PYTHON'
import sys

import gym.spaces
import gymnasium.spaces
import numpy as np

SEEN = {"speed": np.array([0.75], np.float32), "angle": np.array([0.25], np.float32)}
seen = {}
for spaces in (gym.spaces, gymnasium.spaces):
    number = spaces.Box(0, 1, (1,), np.float32)
    words, mapping = spaces.Dict(speed=number, angle=number), spaces.Dict({"speed": number, "angle": number})
    flat = [spaces.flatten(space, SEEN).tolist() for space in (words, mapping)]
    seen[spaces.__name__] = (words == mapping, spaces.flatten_space(words) == spaces.flatten_space(mapping), *flat)
    print("%s: equal %s, flattened spaces equal %s, by keywords %s, by a dict %s" % (spaces.__name__, *seen[spaces.__name__]))
layouts = ([0.75, 0.25], [0.25, 0.75])
sys.exit(seen != {"gym.spaces": (False, True, *layouts), "gymnasium.spaces": (True, True, *layouts)})
PYTHON
env/bin/python check.py 2>/dev/null
