"""The hosts of a job as the one that trains sees them: gathered for its Ray, named where they are lost."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from typing import Callable, Dict, Iterator, Mapping, Optional, Set

from rl_app import machine
from rl_app.cluster.head import Head, Member, lost_line
from rl_app.cluster.proof import password_of
from rl_app.errors import JobError, UserError
from rl_app.job import places
from rl_app.job.rules import LEAST_WORKERS
from rl_app.job.sagemaker import Contract
from rl_app.machine import Host, Machine
from rl_app.stopping.stop_request import STOP, StopRequest
from rl_app.training.trial import Trial

WORD_S = 3.0
"""What the news of a lost host may take after the error of Ray's that it has caused."""
NOTED_S = 90.0
"""What Ray may take to start on all hosts, and to take note that one is gone."""
AGAIN_S = 0.2


class HostLostError(JobError):
    """One of the job's hosts is gone, and with it the workers there."""


class Cluster:
    """The hosts of a job, from the first hello to the last word.

    ``machine`` is what those have together that are there.
    """

    def __init__(self, contract: Contract, stop: StopRequest, environ: Mapping[str, str] = os.environ) -> None:
        self.password = password_of(environ, contract.hosts)
        self._name, self._stop = contract.current_host, stop
        self._members: Dict[str, Member] = {}
        self._own = machine.detect()
        self.head = Head(
            contract.hosts,
            self._name,
            self.password,
            on_lost=lambda host, why: stop.interrupt(HostLostError(lost_line(host, why))),
            on_stop=lambda _: os.kill(os.getpid(), STOP),
        )

    @property
    def machine(self) -> Machine:
        """Return what the hosts have together that are there."""
        lost = self.head.lost
        others = [Host(name, each.cpus, each.gpus) for name, each in self._members.items() if name not in lost]
        return machine.cluster([Host(self._name, self._own.cpus, self._own.gpus), *others])

    def wait(self, deadline_s: float) -> Machine:
        """Return what all hosts have together, once they are there; raises JobError where one is not in time."""
        self._members = self.head.wait(deadline_s)
        return self.machine

    def gather(self, gpus: bool) -> None:
        """Have the other hosts join the Ray that runs here, and wait until they have.

        Args:
            gpus: whether workers use some.
        """
        from ray import worker

        self.head.tell({"join": worker._global_node.redis_address, "gpus": gpus})
        names = {each.address: name for name, each in self._members.items()}
        missing = noted(lambda alive: {*names} - alive)
        if missing:
            raise JobError(f"Ray did not start in {NOTED_S:.0f} s on {', '.join(names[each] for each in missing)}")

    def release(self) -> None:
        """Have the other hosts end their Ray, which is about to end here."""
        self.head.tell({"leave": True})

    def explain(self, error: Exception) -> Exception:
        """Return what another host has to say of an error here, if it does so in a moment; else the error itself."""
        word, lost = self.head.word(WORD_S), self.head.lost
        if word is None:
            return error
        return HostLostError(word) if lost else UserError(word)

    def without_lost(self, trial: Trial, lost: HostLostError, say: Callable[[str], None]) -> Trial:
        """Return the trial with as many of its workers as the hosts that are left have room for.

        Raises:
            HostLostError: the job is not to go on, or cannot.
        """
        if trial.job.settings.on_host_lost != "go_on":
            raise lost
        self._stop.go_on()
        left, config = self.machine, trial.config
        workers = min(config["num_workers"], places.room_for(config, left))
        if workers < LEAST_WORKERS.get(trial.job.trial["run"], 1):
            raise lost
        say(f"{lost}: going on with {left.has('CPUs')[len('the hosts have ') :]} and {workers} workers")
        gone = {each.address for name, each in self._members.items() if name in self.head.lost}
        if noted(lambda alive: gone & alive):
            raise lost
        return trial.with_workers(workers)

    def end(self, status: int, reason: str) -> None:
        """Tell the other hosts how the job has ended."""
        self.head.end(status, reason)


@contextmanager
def explained(cluster: Optional[Cluster]) -> Iterator[None]:
    """Name the host that an error in the block comes from: Ray's own error mostly is there first, and names none."""
    try:
        yield
    except Exception as error:
        if cluster is None or isinstance(error, HostLostError):
            raise
        better = cluster.explain(error)
        if better is error:
            raise
        raise better from error


def noted(wrong: Callable[[Set[str]], Set[str]]) -> Set[str]:
    """Wait until nothing is wrong with the addresses of the hosts that Ray takes for alive; return what still is."""
    import ray

    deadline = time.monotonic() + NOTED_S
    while True:
        still = wrong({node["NodeManagerAddress"] for node in ray.nodes() if node["Alive"]})
        if not still or time.monotonic() > deadline:
            return still
        time.sleep(AGAIN_S)
