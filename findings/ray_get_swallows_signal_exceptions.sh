#!/usr/bin/env bash
# What happens: an exception that a Python signal handler raises while ray.get waits, Ray 0.8.5, is printed and
#   swallowed, and ray.get waits on; only a KeyboardInterrupt, or a subclass of it, gets out, as a plain
#   KeyboardInterrupt.
# One would have guessed: ray.get behaves as time.sleep or a lock does: the handler's exception, of whatever type,
#   ends the call.
# Where it matters: an alarm or SIGTERM handler that is to cut a training iteration short never does where it waits
#   for a rollout worker: the job is killed with nothing saved.
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
import signal
import sys
import time

import ray


class Cut(Exception):
    pass


class Interrupted(KeyboardInterrupt):
    pass


def raising(kind):
    def handler(number, frame):
        raise kind

    return handler


def waited(kind):
    """(what came out of ray.get, seconds) of a call of 6 s with an alarm after 1 s."""
    signal.signal(signal.SIGALRM, raising(kind))
    reference = slow.remote()
    began = time.monotonic()
    signal.alarm(1)
    try:
        ray.get(reference)
        came = None
    except BaseException as error:
        came = type(error)
    return came, time.monotonic() - began


ray.init(num_cpus=2, include_webui=False, object_store_memory=80 * 1024 * 1024)


@ray.remote
def slow():
    time.sleep(6)


ray.get(slow.remote())  # the worker process is there from here on
swallowed, whole = waited(Cut)
came, early = waited(Interrupted)
print(f"Exception: {swallowed} after {whole:.1f} s; KeyboardInterrupt's subclass: {came} after {early:.1f} s")
ray.shutdown()
sys.exit(not (swallowed is None and whole > 5 and came is KeyboardInterrupt and early < 5))
PYTHON
env/bin/python check.py
