"""`scripts/test`: the tests, ring by ring."""

from __future__ import annotations

import collections
import json
import os
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Counter, List, Mapping, Optional, Sequence, Tuple

from scripts.lib import cli, environments
from scripts.lib.rings import CLOUD, COUNTS, ON_REQUEST, RINGS, there

SIDE_BY_SIDE = ("unit", "app")
"""Rings whose files run side by side, one a core, and then those alone that ask for it; the others share an engine."""
MOST_AT_ONCE = 2
NOTHING_COLLECTED = 5  # pytest's exit status
OUTCOMES = ("passed", "failed", "skipped")
EXAMPLES = """
examples:
  scripts/test                             all rings but those that run on request
  scripts/test unit app                    these two
  scripts/test unit -- -k hyperparameters  what follows -- goes to pytest
  scripts/test unit -- -n 0 -x --pdb       one after the other
  scripts/test gpu                         the GPU image, built here
"""


@cli.command
def main(arguments: Sequence[str], root: Path = environments.ROOT) -> int:
    """Run the rings; return 0 where no test failed, 130 or 143 where a signal ended them, else 1."""
    rings, options = parse(arguments, root)
    locks = [environments.IMAGE, environments.TEST, *([CLOUD] if CLOUD in rings else [])]
    python = environments.ensure(locks)
    total: Counter[str] = collections.Counter()
    stopped: Optional[int] = None
    asked = [*rings, *only_on_request(rings, root)]
    for ring, manner, how in ((each, *part) for each in asked for part in passes(each)):
        print(f"---- {ring}: {RINGS[ring]}{manner}", flush=True)
        left_out = [] if ring in rings else ["--skip-all", ON_REQUEST[ring]]
        counts, stopped = run([str(python), "-m", "pytest", f"tests/{ring}", *how, *options, *left_out], root)
        total += counts
        if stopped is not None:
            print(f"\nstopped by {signal.Signals(stopped).name}: what is not listed above did not run")
            break
    print(", ".join(f"{total[outcome]} {outcome}" for outcome in OUTCOMES), flush=True)
    return 128 + stopped if stopped is not None else int(total["failed"] > 0)


def parse(arguments: Sequence[str], root: Path = environments.ROOT) -> Tuple[List[str], List[str]]:
    """Read the rings to run, in their order, and the options for pytest."""
    ours, options = list(arguments), []
    if "--" in ours:
        split = ours.index("--")
        ours, options = ours[:split], ours[split + 1 :]
    known = there(root)
    listed = "".join(f"  {ring:<8} {RINGS[ring]}{'; on request' * (ring in ON_REQUEST)}\n" for ring in known)
    parser = cli.parser(
        "test",
        f"Run the tests ring by ring. What cannot run counts as skipped.\n\nrings:\n{listed}",
        EXAMPLES,
        usage="scripts/test [-h] [RING ...] [-- PYTEST_OPTION ...]",
    )
    parser.add_argument("rings", nargs="*", metavar="RING", help="default: all but those that run on request")
    wanted = parser.parse_args(ours).rings or [ring for ring in known if ring not in ON_REQUEST]
    for ring in wanted:
        if ring not in known:
            parser.error(f"{ring}: there is no such ring; there are {', '.join(known)}")
    return [ring for ring in known if ring in wanted], options


def passes(ring: str) -> List[Tuple[str, List[str]]]:
    """Return how a ring runs, in words and as pytest's options: with more at once than cores, every deadline lies."""
    if ring not in SIDE_BY_SIDE:
        return [("", [])]
    at_once = str(min(os.cpu_count() or 1, MOST_AT_ONCE))
    return [
        (f"; {at_once} files at once", ["-n", at_once, "--dist", "loadfile", "--alone", "no"]),
        ("; what wants the machine alone", ["--alone", "yes"]),
    ]


def only_on_request(rings: Sequence[str], root: Path) -> List[str]:
    """List the rings that a run of all the others leaves out; none where it leaves out more."""
    left = [ring for ring in there(root) if ring not in rings]
    return left if all(ring in ON_REQUEST for ring in left) else []


def run(pytest: Sequence[str], root: Path) -> Tuple[Counter[str], Optional[int]]:
    """Run one ring; return what came of its tests, and the number of the signal that ended it, if one did."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "counts.json"
        status, stopped = call(pytest, root, {**os.environ, COUNTS: str(file)})
        counts = collections.Counter(dict(zip(OUTCOMES, json.loads(file.read_text()))) if file.exists() else {})
    if status not in (0, NOTHING_COLLECTED) and not counts["failed"] and stopped is None:
        print(f"pytest ended with status {status}", flush=True)
        counts["failed"] = 1
    return counts, stopped


def call(command: Sequence[str], root: Path, environ: Mapping[str, str]) -> Tuple[int, Optional[int]]:
    """Run pytest to its end, also when a signal asks for it: the tests stop what they have started.

    Returns its exit status, and the signal's number if there was one.
    """
    stopped: List[int] = []
    process = subprocess.Popen(command, cwd=root, env=environ)

    def on_signal(number: int, _: Any) -> None:
        stopped.append(number)
        if number == signal.SIGTERM:  # a terminal sends SIGINT to pytest itself
            process.send_signal(signal.SIGINT)

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        status = process.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return status, stopped[0] if stopped else None
