"""What holds for every command line of scripts/."""

from __future__ import annotations

import os
import subprocess

from scripts.lib.environments import ROOT


def test_a_reader_that_has_had_enough_is_no_error() -> None:
    reads, writes = os.pipe()
    os.close(reads)
    done = subprocess.run([str(ROOT / "scripts" / "experiments")], stdout=writes, stderr=subprocess.PIPE, timeout=60)
    os.close(writes)
    assert (done.returncode, done.stderr) == (141, b"")
