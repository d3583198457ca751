#!/usr/bin/env python3
"""Seconds from the command to the first iteration's line, and to the line that says solved.

usage: benchmarks/start_to_solved.py [SEED ...]      (default: 0 1 2 3 4)

Runs `scripts/train --engine process` once a seed, in a store that is thrown away. Set-up is done before and not
counted. Prints a table and the medians; the machine's noise is in the spread.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path
from typing import Dict, List

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import measuring

MARKS = {"first iteration": measuring.FIRST_ITERATION, "solved": measuring.SOLVED}


def run(seed: int, store: str) -> Dict[str, float]:
    """One job; the seconds after which each of the marks was printed."""
    printed = measuring.train("--store", store, "--job", f"seed-{seed}", f"seed={seed}")
    found = {mark: measuring.first(pattern, printed) for mark, pattern in MARKS.items()}
    return {**{mark: line.after_s for mark, line in found.items() if line}, "end": printed[-1].after_s}


def main(seeds: List[int]) -> None:
    measuring.set_up()
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
