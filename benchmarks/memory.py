#!/usr/bin/env python3
"""The most memory that a default job takes, all of its processes together, and by process.

usage: benchmarks/memory.py [EXPERIMENT] [--rounds N] [KEY=VALUE ...]      (default: cartpole, 3 rounds)

Memory is PSS: what a process has for itself, and its share of what several have. It is read twenty times a second, by
Linux alone. The rows of the processes are what they had when all together had the most. Another job on the machine has
its share of TensorFlow's pages, and makes them less: it is to be measured alone. Seen on two cores, three rounds:

| | before videos were played by numpy | since | and with imports when they are used | learning in numpy |
|---|---|---|---|---|
| all together | 955 (953 to 956) | 757 (756 to 758) | 688 (687 to 688) | 688 (688 to 689) |
| the trainer | 524 | 647: the pages that both had are its own now | 576 | 573 |
| videos and report | 377 | 56 | 57 | 58 |
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Dict, List, Sequence

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import measuring

POLL_S = 0.05
MB = 1e6
TOTAL = "all together"
# By a part of the command line; the first that is there names the process
PROCESSES = {
    "rl_app.training.video_process": "videos and report",
    "ffmpeg": "ffmpeg",
    "rl_app local": "SageMaker's part",
    "rl_app train": "the trainer",
    "scripts/train": "scripts/train",
}


def main(experiment: str, rounds: int, settings: Sequence[str]) -> None:
    """Runs the jobs, one after the other, then prints the table."""
    measuring.set_up()
    peaks: List[Dict[str, float]] = []
    with tempfile.TemporaryDirectory() as store:
        for turn in range(rounds):
            words = (experiment, f"seed={turn}", *settings, "--store", store, "--job", f"memory-{turn}")
            peaks.append(peak_of([measuring.TRAIN, "--engine", "process", *words]))
            measuring.note(f"round {turn + 1}: {peaks[-1][TOTAL]:.0f} MB")
    names = [*dict.fromkeys(name for peak in peaks for name in peak)]
    rows = [[name, measuring.middle([peak.get(name, 0.0) for peak in peaks])] for name in names]
    print(measuring.markdown(["", "MB"], rows))


def peak_of(words: Sequence[str]) -> Dict[str, float]:
    """MB of each kind of process when a program and all that it started had the most, and of all together first."""
    most: Dict[str, float] = {TOTAL: 0.0}
    with tempfile.TemporaryFile("w+") as said:
        process = psutil.Popen(words, stdout=said, stderr=subprocess.STDOUT)
        while process.poll() is None:
            most = max(most, now(process), key=lambda taken: taken[TOTAL])
            time.sleep(POLL_S)
        if process.returncode != 0:
            said.seek(0)
            raise SystemExit(f"{said.read()}{words}: exit status {process.returncode}")
    return most


def now(process: psutil.Popen) -> Dict[str, float]:
    """MB of a process and of all below it, by kind."""
    taken: Dict[str, float] = defaultdict(float)
    for each in [process, *process.children(recursive=True)]:
        try:
            taken[kind_of(each.cmdline())] += each.memory_full_info().pss / MB
        except psutil.Error:  # it has ended
            continue
    return {TOTAL: sum(taken.values()), **taken}


def kind_of(words: Sequence[str]) -> str:
    """What a process is called in the table."""
    line = " ".join(words)
    return next((name for part, name in PROCESSES.items() if part in line), "others")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiment", nargs="?", default="cartpole")
    parser.add_argument("settings", nargs="*", metavar="KEY=VALUE")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_intermixed_args()
    main(options.experiment, options.rounds, options.settings)
