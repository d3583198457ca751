"""A job of several hosts on one machine: each a `train` of its own, at an address of its own, with its own /opt/ml."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Dict, Iterator, List, Mapping, Optional

import psutil

from rl_app.job.sagemaker import Paths
from tests.waiting import until

REPOSITORY = Path(__file__).parents[2]
NAMES = ["127.0.0.2", "127.0.0.3", "127.0.0.4"]
"""They resolve everywhere, and each is an address of this machine alone."""
SECRET = "the-password-of-this-test"


class Host:
    """One host of a job: its files, its process, and what it says."""

    def __init__(self, name: str, base: Path) -> None:
        self.name, self.paths = name, Paths(base)
        self.said = base / "said"
        self._process: Optional[subprocess.Popen[bytes]] = None
        self._seen: Dict[int, psutil.Process] = {}

    def configure(self, hosts: List[str], hyperparameters: Mapping[str, str]) -> None:
        self.paths.config.mkdir(parents=True)
        resources = {"current_host": self.name, "hosts": hosts, "network_interface_name": "lo"}
        for name, value in (("hyperparameters", hyperparameters), ("resourceconfig", resources)):
            (self.paths.config / f"{name}.json").write_text(json.dumps(value))

    def start(self, **environment: str) -> None:
        variables = {"SAGEMAKER_BASE_DIR": str(self.paths.base), "RL_CLUSTER_PASSWORD": SECRET, **environment}
        with self.said.open("wb") as said:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "rl_app", "train"],
                cwd=REPOSITORY,
                env={**os.environ, "TRAINING_JOB_NAME": "together", "CUDA_VISIBLE_DEVICES": "", **variables},
                stdout=said,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )

    @property
    def has_started(self) -> bool:
        return self._process is not None

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None
        return self._process

    @property
    def text(self) -> str:
        return self.said.read_text()

    @property
    def log(self) -> str:
        return "".join(file.read_text(errors="replace") for file in sorted(self.paths.output.rglob("train.log")))

    @property
    def failure(self) -> str:
        return self.paths.failure.read_text() if self.paths.failure.exists() else ""

    def look(self) -> List[psutil.Process]:
        """Return every process of the host that was ever seen and still runs."""
        if self._process is not None and self._process.poll() is None:
            first = psutil.Process(self._process.pid)
            self._seen.update({each.pid: each for each in [first, *first.children(recursive=True)]})
        return [each for each in self._seen.values() if each.is_running() and each.status() != psutil.STATUS_ZOMBIE]

    @property
    def workers(self) -> int:
        """Return how many of the trial's workers run here."""
        return sum("RolloutWorker" in " ".join(each.cmdline()) for each in self.look())

    def send(self, number: int) -> None:
        """Send all processes of the host a signal, as what happens to a machine happens to all that it runs."""
        for each in self.look():
            with suppress(psutil.NoSuchProcess):
                each.send_signal(number)

    def wait(self, deadline_s: float) -> int:
        try:
            return self.process.wait(deadline_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} did not end in {deadline_s} s:\n{self.text}\n{self.log}") from None


class Hosts:
    """All hosts of a job; iterating gives the first one first."""

    def __init__(self, directory: Path, number: int, hyperparameters: Mapping[str, str]) -> None:
        self._all = [Host(name, directory / name) for name in NAMES[:number]]
        for host in self._all:
            host.configure(NAMES[:number], hyperparameters)

    def __iter__(self) -> Iterator[Host]:
        return iter(self._all)

    def start(self, **environment: str) -> None:
        for host in self._all:
            host.start(**environment)

    def look(self) -> List[psutil.Process]:
        """Return every process of the job that was ever seen and still runs."""
        return [each for host in self._all for each in host.look()]

    def wait(self, deadline_s: float = 120) -> List[int]:
        self.look()
        return [host.wait(deadline_s) for host in self._all]

    def until_said(self, part: str, deadline_s: float = 120) -> None:
        """Wait until the first host has said something."""
        first = self._all[0]
        until(lambda: part in first.text or first.process.poll() is not None, deadline_s)
        assert part in first.text, first.text + first.log
        self.look()

    def close(self) -> None:
        for each in self.look():
            with suppress(psutil.NoSuchProcess):
                each.send_signal(signal.SIGKILL)
        for host in self._all:
            if host.has_started:
                host.process.wait()
