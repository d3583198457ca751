"""A host that trains nothing itself: it gives its CPUs and GPUs to the Ray of the job's first one."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress
from typing import Any, Callable, Mapping, NamedTuple, Optional

from rl_app.cluster.member import Membership, join
from rl_app.cluster.proof import password_of
from rl_app.errors import JobError
from rl_app.job import sagemaker
from rl_app.job.sagemaker import Contract, Paths
from rl_app.machine import detect
from rl_app.stopping import child
from rl_app.stopping.stop_request import StopRequest
from rl_app.training import ray_runtime

LOOK_S = 0.5
"""How often it is looked whether Ray still runs."""
TOLD_S = 5.0
"""How long the first host is looked for to tell it of a failure, which mostly is its own too."""
ENDED_S = 10.0
"""What Ray has to end."""


class End(NamedTuple):
    """How the job has ended, the same on all hosts."""

    status: int
    reason: str


def serve(contract: Contract, paths: Paths, deadline_s: float, stop: StopRequest, say: Callable[[str], None]) -> End:
    """Serve the job's first host up to the job's end.

    Raises:
        JobError: the first host is not there in time, or does not want this one.
        StoppedEarly: a stop was asked for before it was there.
    """
    machine, password = detect(), password_of(os.environ, contract.hosts)
    ray_runtime.check_memory(say)
    say(f"{contract.current_host}: waiting for {contract.head}, which trains")
    with stop.before_training(grace_s=0):
        joined = join(contract.head, contract.current_host, password, machine.cpus, machine.gpus, deadline_s)
    say(f"{contract.current_host}: {machine.cpus} CPUs and {machine.gpus} GPUs for {contract.head}")
    ray: Optional[subprocess.Popen[bytes]] = None
    told = Told(joined, paths)
    try:
        while True:
            message = joined.next(LOOK_S) or {}
            if "leave" in message and ray is not None:
                ended(ray)
                ray = None
            told.look(stop, ray)
            if "end" in message:
                return End(int(message["end"][0]), str(message["end"][1]))
            if "gone" in message:
                return End(JobError.errno, f"host lost: {contract.head}: {message['gone']}")
            if "join" in message:
                gpus = machine.gpus if message.get("gpus") else 0
                command = ray_runtime.start_command(message["join"], joined.address, password, machine.cpus, gpus)
                ray = child.start(command, os.environ)
    finally:
        if ray is not None:
            ended(ray)
        joined.leave()


def tell_failure(contract: Contract, reason: str) -> None:
    """Tell the job's first host, if it is there, why this one gives it nothing."""
    password = password_of(os.environ, contract.hosts)
    with suppress(JobError):
        joined = join(contract.head, contract.current_host, password, 0, 0, TOLD_S)
        joined.tell({"failed": reason})
        joined.next(TOLD_S)
        joined.leave()


class Told:
    """What of this host the first one has been told."""

    def __init__(self, joined: Membership, paths: Paths) -> None:
        self._joined, self._paths = joined, paths
        self._what: Mapping[str, Any] = {}

    def look(self, stop: StopRequest, ray: Optional[subprocess.Popen[bytes]]) -> None:
        """Tell of a stop, of what a worker has left as its last words, and of the end of Ray, each once."""
        if stop:
            self._tell("stop", stop.signal)
        if sagemaker.failure(self._paths):
            self._tell("said", sagemaker.failure(self._paths))
        if ray is not None and ray.poll() is not None:
            self._tell("failed", f"its Ray has ended, with exit status {ray.returncode}")

    def _tell(self, what: str, value: object) -> None:
        if what not in self._what:
            self._what = {**self._what, what: value}
            self._joined.tell({what: value})


def ended(ray: subprocess.Popen[bytes]) -> None:
    """End Ray on this host, and what it has started."""
    ray.send_signal(signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        ray.wait(ENDED_S)
    with suppress(ProcessLookupError):
        os.killpg(ray.pid, signal.SIGKILL)
    ray.wait()
