"""Jobs in a process: started, watched, stopped, and what they left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Sequence

REPOSITORY = Path(__file__).parents[2]
SHORT = (
    "stop.training_iteration=6",
    "checkpoint_freq=2",
    "keep_checkpoints_num=2",
    "config.timesteps_per_iteration=0",
)


class Ran(NamedTuple):
    status: int
    stdout: str
    stderr: str


def local(*arguments: str) -> List[str]:
    """What starts local mode in a process, with ``arguments``."""
    return [sys.executable, "-m", "rl_app", "local", "train", *arguments]


def start(words: Sequence[str], **environment: str) -> subprocess.Popen:
    return subprocess.Popen(
        words,
        cwd=str(REPOSITORY),
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        universal_newlines=True,
    )


def run(words: Sequence[str], deadline_s: float = 180.0, **environment: str) -> Ran:
    process = start(words, **environment)
    try:
        stdout, stderr = process.communicate(timeout=deadline_s)
    except subprocess.TimeoutExpired:
        process.kill()
        stdout, stderr = process.communicate()
        raise AssertionError(f"{words} did not end in {deadline_s} s:\n{stdout}\n{stderr}") from None
    return Ran(process.returncode, stdout, stderr)


def wait_for_line(process: subprocess.Popen, part: str, deadline_s: float = 120.0) -> str:
    """Reads standard output up to the first line that has ``part``."""
    deadline = time.monotonic() + deadline_s
    seen = []
    for line in process.stdout:
        seen.append(line)
        if part in line:
            return line
        if time.monotonic() > deadline:
            break
    process.kill()
    raise AssertionError(f"{part!r} was not printed:\n{''.join(seen)}\n{process.stderr.read()}")


def stop(process: subprocess.Popen, number: int = signal.SIGTERM, deadline_s: float = 60.0) -> Ran:
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=deadline_s)
    return Ran(process.returncode, stdout, stderr)


class Finished:
    """What a job left in a directory store."""

    def __init__(self, store: Path, name: str, ran: Ran) -> None:
        self.store, self.name, self.directory, self.ran = store, name, store / name, ran

    @property
    def record(self) -> Dict[str, Any]:
        return json.loads((self.directory / "job.json").read_text())

    def unpack(self, archive: str, target: Path) -> Path:
        with tarfile.open(str(self.directory / "output" / archive)) as tar:
            tar.extractall(str(target))
        return target
