#!/usr/bin/env python3
"""What the first host does for the others, measured on 1 to 8 hosts, and reckoned for 16, 64 and 256.

usage: benchmarks/hosts/costs.py [--hosts N ...]       (default: 1 2 4 8 hosts, of two workers each)

The hosts are containers of this machine, so that no network's speed is in it; CPU time is, which hardly depends on what
else the machine does. For 16, 64 and 256 hosts the driver's work is measured too where the workers of the last cluster
can stand for theirs ("as if"); all else is reckoned by a line through those measured ("~").
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Dict, List, Sequence, Tuple

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks import measuring
from benchmarks.hosts import by_hand

MORE = (16, 64, 256)
NO_TENSORFLOW = ["-e", "RLLIB_TEST_NO_TF_IMPORT=1"]
"""What has RLlib's modules imported without it: there is no network here."""
Found = Dict[str, float]


def main(hosts: Sequence[int]) -> None:
    """Measures, and prints the table."""
    subprocess.run([str(measuring.REPOSITORY / "scripts" / "build")], check=True, stdout=subprocess.DEVNULL)
    found: List[Found] = []
    for number in hosts:
        found += measured(number, MORE if number == hosts[-1] else ())
    clusters, as_if = found[: len(hosts)], found[len(hosts) :]
    header = ["", *(f"{number:g}" for number in hosts), "a further host", *map(str, MORE)]
    names = [name for name in clusters[0] if name != "hosts"]
    print(measuring.markdown(header, [row(name, clusters, as_if) for name in names]))


def measured(hosts: int, stands_for: Sequence[int]) -> List[Found]:
    """What a cluster of so many hosts costs its first one, and what those do that it stands for."""
    with by_hand.made(hosts, cpus=2, more=NO_TENSORFLOW) as names:
        driver = ["docker", "exec", names[0], "python", "/plain/parts.py", *map(str, [hosts, *stands_for])]
        printed = [line.text for line in measuring.lines(driver)]
    found = [json.loads(text) for text in printed if text.startswith("{")]
    for each in found:
        measuring.note(json.dumps(each))
    return found


def row(name: str, clusters: Sequence[Found], as_if: Sequence[Found]) -> List[str]:
    """A row of the table."""
    values = [each[name] for each in clusters]
    fixed, further = line([each["hosts"] for each in clusters], values)
    stood_for = {each["hosts"]: f"as if: {said(each[name])}" for each in as_if if name in each}
    more = [stood_for.get(number, f"~{said(fixed + further * number)}") for number in MORE]
    return [name, *map(said, [*values, further]), *more]


def line(xs: Sequence[float], ys: Sequence[float]) -> Tuple[float, float]:
    """The line of least squares that does not fall: its value at 0, and what each further x adds."""
    mean_x, mean_y = sum(xs) / len(xs), sum(ys) / len(ys)
    spread = sum((x - mean_x) ** 2 for x in xs)
    further = max(0.0, sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys)) / spread) if spread else 0.0
    return mean_y - further * mean_x, further


def said(value: float) -> str:
    """Two digits, or all before the point."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2g}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hosts", type=int, nargs="+", default=[1, 2, 4, 8])
    main(parser.parse_args().hosts)
