#!/usr/bin/env python3
"""Seconds from the command to the first iteration's line, and to the line that says solved.

usage: benchmarks/start_to_solved.py [SEED ...]      (default: 0 1 2 3 4)

Runs `scripts/train --engine process` once a seed, in a store that is thrown away. Set-up is done before and not
counted. Prints a table and the medians; the machine's noise is in the spread.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Dict, List

REPOSITORY = Path(__file__).resolve().parents[1]
DEADLINE_S = 900
MARKS = {"first iteration": "iteration    1 ", "solved": "  solved"}


def run(seed: int, store: str) -> Dict[str, float]:
    """One job; the seconds after which each of the marks was printed."""
    words = ["train", "--engine", "process", "--store", store, "--job", f"seed-{seed}", f"seed={seed}"]
    began = time.monotonic()
    seen: Dict[str, float] = {}
    with subprocess.Popen(
        [str(REPOSITORY / "scripts" / words[0]), *words[1:]],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        universal_newlines=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            for mark, text in MARKS.items():
                if text in line:
                    seen.setdefault(mark, time.monotonic() - began)
            if time.monotonic() - began > DEADLINE_S:
                process.terminate()
        if process.wait() != 0:
            raise SystemExit(f"seed {seed}: exit status {process.returncode}")
    return {**seen, "end": time.monotonic() - began}


def main(seeds: List[int]) -> None:
    subprocess.run(
        [str(REPOSITORY / "scripts" / "train"), "--engine", "process", "--help"],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    columns = [*MARKS, "end"]
    print("seed".rjust(6), *(column.rjust(16) for column in columns))
    rows = []
    with tempfile.TemporaryDirectory() as store:
        for seed in seeds:
            rows.append(run(seed, store))
            print(str(seed).rjust(6), *(f"{rows[-1].get(column, float('nan')):16.1f}" for column in columns))
    medians = [statistics.median(row[column] for row in rows if column in row) for column in columns]
    print("median", *(f"{median:16.1f}" for median in medians))


if __name__ == "__main__":
    if any(word in ("-h", "--help") for word in sys.argv[1:]):
        print(__doc__)
    else:
        main([int(word) for word in sys.argv[1:]] or [0, 1, 2, 3, 4])
