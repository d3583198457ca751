"""The faults that are done to the hosts of a job, whose head is the first of them."""

from __future__ import annotations

import os
import signal
from typing import Any, Dict

from tests.chaos.faults import Deed, Fault
from tests.chaos.places import HOSTS, HOSTS_THAT_GO_ON, HostsJob
from tests.stack.conftest import docker, pause


def kills_host(service: str) -> Deed:
    return lambda job: docker("kill", job.container(service))


def kills_elsewhere(part: str) -> Deed:
    """Kills a process of the host that does not train."""
    return lambda job: os.kill(job.process_elsewhere(part), signal.SIGKILL)


def pauses_host(job: HostsJob) -> None:
    pause(job.container("worker"))


def cuts_host(job: HostsJob) -> None:
    docker("network", "disconnect", f"{job.project}_default", job.container("worker"))


def goes_on_after(strike: Deed) -> Deed:
    """Does it, and waits until the job has gone on without the host."""

    def struck(job: Any) -> None:
        strike(job)
        job.await_more(2)

    return struck


LOST: Dict[str, Deed] = {
    "another host is killed": kills_host("worker"),
    "another host is paused": pauses_host,
    "another host's network is cut": cuts_host,
}
FATAL: Dict[str, Deed] = {
    **LOST,
    "kill -9 of a worker on another host": kills_elsewhere("ray::Rollout"),
    "kill -9 of another host's raylet": kills_elsewhere("raylet/raylet"),
}
FAULTS: Dict[str, Fault] = {
    **{name: Fault(strike, places=(HOSTS,)) for name, strike in FATAL.items()},
    "the head is killed": Fault(
        kills_host("train"),
        places=(HOSTS,),
        statuses=(137,),
        state="InProgress",
        after=lambda job: job.await_silence(),
    ),
    **{
        f"{name}, and the job goes on": Fault(goes_on_after(strike), places=(HOSTS_THAT_GO_ON,), goes_on=True)
        for name, strike in LOST.items()
    },
}
