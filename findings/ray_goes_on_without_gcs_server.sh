#!/usr/bin/env bash
# What happens: when the process gcs_server of Ray 0.8.5 has died, actors that are there and tasks go on as before and
#   nothing is said; an actor that is made after it never starts, and `ray.get` on it waits without an error.
# One would have guessed: without its control process a cluster fails, or at least says so.
# Where it matters: a training whose workers are there runs to its end; one that replaces a worker waits for ever. A
#   supervisor has to watch the process itself.
#
# Needs Python 3.8 (PYTHON names it, where it is not python3.8 on PATH) and a package index; takes about a minute.
# Exit status: 0 the library still behaves so, 1 it does not.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3.8}" -m venv "$work/env"
"$work/env/bin/pip" install --quiet --disable-pip-version-check 'ray==0.8.5' 'protobuf==3.20.3' 'redis==3.4.1' 'numpy==1.23.5' 'aiohttp==3.8.6' 'setuptools==75.3.0' 'six==1.17.0'
cd "$work"
cat > check.py <<'PYTHON'
import sys

import ray
from ray import worker

ENOUGH_S = 15


@ray.remote
class Counter:
    count = 0

    def add(self) -> int:
        self.count += 1
        return self.count


@ray.remote
def double(number: int) -> int:
    return 2 * number


ray.init(num_cpus=2, include_webui=False)
there = Counter.remote()
ray.get(there.add.remote())
for started in worker._global_node.all_processes["gcs_server"]:
    started.process.kill()
    started.process.wait()
goes_on = ray.get(there.add.remote(), timeout=ENOUGH_S) == 2 and ray.get(double.remote(4), timeout=ENOUGH_S) == 8
another = Counter.remote()
try:
    new = ray.get(another.add.remote(), timeout=ENOUGH_S)
except ray.exceptions.RayTimeoutError:
    new = None
print(f"actor and task go on: {goes_on}; a new actor: {'started' if new else f'not there after {ENOUGH_S} s'}")
sys.exit(not (goes_on and new is None))
PYTHON
env/bin/python check.py
