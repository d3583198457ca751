#!/usr/bin/env bash
# What happens: asked for the loopback address, Ray 0.8.5 takes another one: after `ray.init(node_ip_address=
#   "127.0.0.1")` the cluster's redis is announced at the machine's outward address, and "localhost" becomes the same.
#   127.0.0.2, which is loopback too, is kept as it was given.
# One would have guessed: a node that is told 127.0.0.1 is one of this machine alone, and another loopback address is
#   treated as that one is.
# Where it matters: whoever wants Ray out of the network's reach writes 127.0.0.1 and is on the network; a redis that is
#   bound to 127.0.0.1 is then not found by Ray's own processes.
#
# Needs Python 3.8 (PYTHON names it, where it is not python3.8 on PATH), a machine with an address besides loopback, and
#   a package index; takes about a minute. Exit status: 0 the library still behaves so, 1 it does not.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3.8}" -m venv "$work/env"
"$work/env/bin/pip" install --quiet --disable-pip-version-check 'ray==0.8.5' 'protobuf==3.20.3' 'redis==3.4.1' 'numpy==1.23.5' 'aiohttp==3.8.6' 'setuptools==75.3.0' 'six==1.17.0'
cd "$work"
cat > check.py <<'PYTHON'
import sys

import ray


def announced(asked: str) -> str:
    address = ray.init(num_cpus=1, include_webui=False, node_ip_address=asked)["redis_address"]
    ray.shutdown()
    return address.rpartition(":")[0]


seen = {asked: announced(asked) for asked in ("127.0.0.1", "localhost", "127.0.0.2")}
for asked, address in seen.items():
    print(f"asked for {asked}: {'the same' if address == asked else 'loopback' if address.startswith('127.') else 'an outward address'}")
outward = not any(seen[asked].startswith("127.") for asked in ("127.0.0.1", "localhost"))
sys.exit(not (outward and seen["127.0.0.2"] == "127.0.0.2"))
PYTHON
env/bin/python check.py
