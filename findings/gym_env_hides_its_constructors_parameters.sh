#!/usr/bin/env bash
# What happens: on Python 3.8, inspect.signature of a class that inherits from Gym 0.22's Env is (*args, **kwds): Env is a
#   typing.Generic, whose __new__ is found before the class's own __init__. On Python 3.9 and later it is __init__'s.
# One would have guessed: the parameters of the constructor that the class defines.
# Where it matters: whoever looks into a constructor for what it takes, such as env_config, num_envs or render_mode, finds
#   nothing there, and no error, on the Python that the environments of these years run on.
#
# Needs Python 3.8 (PYTHON names it, where it is not python3.8 on PATH) and a package index; takes seconds.
# Exit status: 0 the library still behaves so, 1 it does not.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3.8}" -m venv "$work/env"
"$work/env/bin/pip" install --quiet --disable-pip-version-check 'gym==0.22.0' 'numpy==1.23.5'
cd "$work"
cat > check.py <<'PYTHON'
import inspect
import sys

import gym


class Mine(gym.Env):
    def __init__(self, env_config, num_envs=1):
        pass


class Plain:
    def __init__(self, env_config, num_envs=1):
        pass


mine, plain = str(inspect.signature(Mine)), str(inspect.signature(Plain))
print(f"Python {sys.version.split()[0]}, Gym {gym.__version__}: of an Env {mine}, of a plain class {plain}")
sys.exit((mine, plain) != ("(*args, **kwds)", "(env_config, num_envs=1)"))
PYTHON
env/bin/python check.py 2>/dev/null
