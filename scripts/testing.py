"""`scripts/test`: the tests, ring by ring."""

from __future__ import annotations

import argparse
import collections
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Counter, List, Optional, Sequence, Tuple

from scripts import engine, environments

RINGS = {
    "unit": "one module at a time, lint and types; no Docker",
    "app": "real training, export and local mode in this environment; no Docker",
    "image": "the container image against SageMaker's contract; needs a Docker engine",
    "stack": "docker compose with MinIO, and the scripts; needs a Docker engine",
    "cloud": "what talks to AWS, against stand-ins for it",
    "gpu": "the GPU image, on any machine; needs a Docker engine",
}
NEED_ENGINE = ("image", "stack", "gpu")
ON_REQUEST = {"gpu": "its image of 5 GB takes minutes to build; `scripts/test gpu` runs it"}
"""Rings that run only where they are named, and why."""
CLOUD = "cloud"
"""The ring, and the lock of what it needs besides."""
NOTHING_COLLECTED = 5  # pytest's exit status

EXAMPLES = """
examples:
  scripts/test                             all rings but those that run on request
  scripts/test unit app                    these two
  scripts/test unit -- -k hyperparameters  what follows -- goes to pytest
  scripts/test image -- -x --pdb
  scripts/test gpu                         the GPU image, built here
"""


@dataclass
class Tally:
    """What came of one ring. `reasons` counts the skipped tests by their reason."""

    ring: str
    passed: int = 0
    failed: int = 0
    seconds: float = 0.0
    reasons: Counter[str] = field(default_factory=collections.Counter)

    @property
    def skipped(self) -> int:
        """How many tests did not run."""
        return sum(self.reasons.values())


def main(arguments: Sequence[str], root: Path = environments.ROOT) -> int:
    """Runs the rings; returns 0 where no test failed, 130 or 143 where a signal ended them, else 1."""
    rings, options = parse(arguments, root)
    try:
        locks = [environments.IMAGE, environments.TEST, *([CLOUD] if CLOUD in rings else [])]
        python = environments.ensure(locks)
    except environments.SetUpError as error:
        print(error, file=sys.stderr)
        return error.errno
    except KeyboardInterrupt:
        return 130
    missing = engine.why_not() if set(rings) & set(NEED_ENGINE) else None
    tallies: List[Tally] = []
    stopped: Optional[int] = None
    for ring in [*rings, *only_on_request(rings, root)]:
        pytest = [str(python), "-m", "pytest", f"tests/{ring}", *options]
        print(f"---- {ring}: {RINGS[ring]}", flush=True)
        if ring not in rings:
            tallies.append(leave_out(ring, pytest, ON_REQUEST[ring], root))
            continue
        if missing and ring in NEED_ENGINE:
            tallies.append(leave_out(ring, pytest, f"no Docker engine: {missing}", root))
            continue
        tally, stopped = run(ring, pytest, root)
        tallies.append(tally)
        if stopped is not None:
            print(f"\nstopped by {signal.Signals(stopped).name}: what is not listed below did not run")
            break
    report(tallies)
    return 128 + stopped if stopped is not None else int(any(tally.failed for tally in tallies))


def parse(arguments: Sequence[str], root: Path) -> Tuple[List[str], List[str]]:
    """The rings to run, in their order, and the options for pytest."""
    ours, options = list(arguments), []
    if "--" in ours:
        split = ours.index("--")
        ours, options = ours[:split], ours[split + 1 :]
    known = there(root)
    listed = "".join(f"  {ring:<8} {RINGS[ring]}{'; on request' * (ring in ON_REQUEST)}\n" for ring in known)
    parser = argparse.ArgumentParser(
        prog="scripts/test",
        usage="scripts/test [-h] [RING ...] [-- PYTEST_OPTION ...]",
        description=f"Run the tests ring by ring. What cannot run counts as skipped.\n\nrings:\n{listed}",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("rings", nargs="*", metavar="RING", help="default: all but those that run on request")
    wanted = parser.parse_args(ours).rings or [ring for ring in known if ring not in ON_REQUEST]
    for ring in wanted:
        if ring not in known:
            parser.error(f"{ring}: there is no such ring; there are {', '.join(known)}")
    return [ring for ring in known if ring in wanted], options


def only_on_request(rings: Sequence[str], root: Path) -> List[str]:
    """The rings that a run of all the others leaves out; none where it leaves out more."""
    left = [ring for ring in there(root) if ring not in rings]
    return left if all(ring in ON_REQUEST for ring in left) else []


def there(root: Path) -> List[str]:
    """The rings that have a folder, in their order."""
    return [ring for ring in RINGS if (root / "tests" / ring).is_dir()]


def run(ring: str, pytest: Sequence[str], root: Path) -> Tuple[Tally, Optional[int]]:
    """Runs one ring; returns what came of it, and the number of the signal that ended it, if one did."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "results.xml"
        status, stopped = call([*pytest, f"--junitxml={results}"], root)
        tally = count(ring, results)
    tally.seconds = time.monotonic() - began
    if status not in (0, NOTHING_COLLECTED) and not tally.failed and stopped is None:
        print(f"{ring}: pytest ended with status {status}", flush=True)
        tally.failed = 1
    return tally, stopped


def call(command: Sequence[str], root: Path) -> Tuple[int, Optional[int]]:
    """Runs pytest to its end, also when a signal asks for it: the tests stop what they have started.

    Returns its exit status, and the signal's number if there was one.
    """
    stopped: List[int] = []
    process = subprocess.Popen(command, cwd=root)

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


def count(ring: str, results: Path) -> Tally:
    """Reads pytest's results; an unwritten file is a ring of no tests."""
    tally = Tally(ring)
    if not results.exists():
        return tally
    for case in ElementTree.parse(results).iter("testcase"):
        skipped = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            tally.failed += 1
        elif skipped is not None:
            tally.reasons[skipped.get("message") or "no reason given"] += 1
        else:
            tally.passed += 1
    return tally


def leave_out(ring: str, pytest: Sequence[str], reason: str, root: Path) -> Tally:
    """Counts the tests of a ring that cannot run here as skipped."""
    collected = subprocess.run(
        [*pytest, "--collect-only", "--quiet"],
        cwd=root,
        stdout=subprocess.PIPE,
        universal_newlines=True,
        check=False,
    )
    tests = [line for line in collected.stdout.splitlines() if line.startswith(f"tests/{ring}/") and "::" in line]
    tally = Tally(ring, reasons=collections.Counter({reason: len(tests)}))
    if collected.returncode not in (0, NOTHING_COLLECTED):
        print(collected.stdout)
        tally.failed = 1
    return tally


def report(tallies: Sequence[Tally]) -> None:
    """Prints a line a ring, why tests were skipped, and the totals alone on the last line."""
    print()
    for tally in tallies:
        ran = tally.passed + tally.failed
        print(
            f"{tally.ring:<6} {ran:4} ran: {tally.passed} passed, {tally.failed} failed; "
            f"{tally.skipped} skipped; {tally.seconds:.1f} s"
        )
        for reason, tests in tally.reasons.items():
            print(f"       {tests:4} skipped: {reason}")
    passed, failed, skipped = (sum(getattr(t, name) for t in tallies) for name in ("passed", "failed", "skipped"))
    print(f"{passed} passed, {failed} failed, {skipped} skipped", flush=True)
