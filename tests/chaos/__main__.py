"""Does faults to real jobs and prints what became of them.

usage: python -m tests.chaos [--faults N] [--seed N] [--only PART] [--place PLACE ...]

By default 60 faults, seed 0, in all places: processes alone and with a worker of Ray's, processes with a MinIO for
their store, containers of compose, two hosts in them. All but the first two need a Docker engine.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.chaos import harness
from tests.chaos.places import PLACES


def main() -> int:
    """Run it; return 1 where something was lost that must not be."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__.splitlines()[0])
    parser.add_argument("--faults", type=int, default=60, metavar="N")
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    parser.add_argument("--only", default="", metavar="PART", help="kinds that have this in their name")
    parser.add_argument("--place", action="append", choices=PLACES, help="where; may be given again; default: all")
    options = parser.parse_args()
    kinds = harness.chosen(options.only, options.place or PLACES)
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        tallies = harness.run(kinds, options.faults, options.seed, Path(folder), lambda line: print(line, flush=True))
    print(harness.table(tallies))
    return int(any(tally.wrong for tally in tallies.values()))


if __name__ == "__main__":
    sys.exit(main())
