"""The faults that are done to a job's store, to its container, and to the way between them."""

from __future__ import annotations

import signal
import time
from contextlib import contextmanager
from typing import Any, Callable, ContextManager, Dict, Iterator

import boto3

from tests.chaos.faults import STOPPED, Fault, sends
from tests.chaos.job import Job
from tests.chaos.places import COMPOSE, MINIO, SMALL_MINIO, ContainedJob, StoredJob
from tests.stack.conftest import docker, pause
from tests.waiting import until

Away = Callable[[Any], ContextManager[object]]
"""While it lasts the store is not what it should be."""


def down(how: str) -> Away:
    """The server is ended, by a command of docker's."""

    @contextmanager
    def away(job: StoredJob) -> Iterator[None]:
        docker(how, job.server.name)
        try:
            yield
        finally:
            job.server.start()

    return away


def paused(name: Callable[[Any], str]) -> Away:
    """The server, or the container, does nothing."""

    @contextmanager
    def away(job: Job) -> Iterator[None]:
        container = name(job)
        pause(container)
        try:
            yield
        finally:
            docker("unpause", container)

    return away


def proxied(**what: Any) -> Away:
    """The proxy does so with what passes it."""

    @contextmanager
    def away(job: StoredJob) -> Iterator[None]:
        before = {key: getattr(job.proxy, key) for key in what}
        vars(job.proxy).update(what)
        try:
            yield
        finally:
            vars(job.proxy).update(before)

    return away


@contextmanager
def full(job: StoredJob) -> Iterator[None]:
    docker("exec", job.server.name, "sh", "-c", "head -c 100M /dev/zero > /data/ballast || true")
    try:
        yield
    finally:
        docker("exec", job.server.name, "rm", "/data/ballast")


@contextmanager
def without_bucket(job: StoredJob) -> Iterator[None]:
    client = boto3.client("s3", region_name="us-east-1", **connection(job))
    until(lambda: emptied(client, job.bucket), 30)
    try:
        yield
    finally:
        client.create_bucket(Bucket=job.bucket)


def connection(job: StoredJob) -> Dict[str, str]:
    keys = {key.lower(): value for key, value in job.server.environ.items() if "KEY" in key}
    return {"endpoint_url": job.server.endpoint, **keys}


def emptied(client: Any, bucket: str) -> bool:
    """Remove the bucket with all that is in it; raises where something has been put there meanwhile."""
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for entry in page.get("Contents", []):
            client.delete_object(Bucket=bucket, Key=entry["Key"])
    client.delete_bucket(Bucket=bucket)
    return True


@contextmanager
def without_network(job: ContainedJob) -> Iterator[None]:
    network, container = f"{job.project}_default", job.container()
    docker("network", "disconnect", network, container)
    try:
        yield
    finally:
        docker("network", "connect", network, container)


def leaks(job: ContainedJob) -> None:
    """Has the environment hold 40 MB more at every 20th step, in a container of 2 GB."""
    docker("update", "--memory", "2g", "--memory-swap", "2g", job.container())
    docker("exec", job.container(), "sh", "-c", "mkdir -p /tmp/faults && touch /tmp/faults/leak")


def for_a_while(away: Away, iterations: int = 4) -> Callable[[Any], None]:
    """Has it so for some iterations of the job's."""

    def strike(job: Job) -> None:
        with away(job):
            job.await_more(iterations)

    return strike


def for_seconds(away: Away, seconds: float) -> Callable[[Any], None]:
    """Has it so for a time in which the job itself stands still, so that nothing but the time tells its end."""

    def strike(job: Job) -> None:
        with away(job):
            time.sleep(seconds)

    return strike


def while_it_ends(away: Away) -> Callable[[Any], None]:
    """Has it so from just before SIGTERM until the job has said of its end that it tries again."""

    def strike(job: Job) -> None:
        with away(job):
            job.process.send_signal(signal.SIGTERM)
            until(lambda: job.ended() or job.saw("/output: .*trying again"), 130)

    return strike


def to_the_end(away: Away) -> Callable[[Any], None]:
    """Has it so from before SIGTERM until the job has given up."""

    def strike(job: Job) -> None:
        with away(job):
            job.process.send_signal(signal.SIGTERM)
            until(job.ended, 300)
        assert job.saw(r"  kept   "), "\n".join(job.lines)

    return strike


BOTH = (MINIO, COMPOSE)
SERVER = paused(lambda job: job.server.name)
FAULTS: Dict[str, Fault] = {
    "the store is stopped for a while": Fault(for_a_while(down("stop")), places=BOTH, goes_on=True),
    "the store is killed and started": Fault(for_a_while(down("kill")), places=BOTH, goes_on=True),
    "the store is paused for a while": Fault(for_a_while(SERVER), places=BOTH, goes_on=True),
    "the store closes every connection": Fault(for_a_while(proxied(refusing=True)), places=(MINIO,), goes_on=True),
    "the store is slow": Fault(for_a_while(proxied(delay_s=0.2)), places=(MINIO,), goes_on=True),
    "the store's answers are lost": Fault(for_a_while(proxied(losing=8, passing=10)), places=(MINIO,), goes_on=True),
    "the store's disk is full for a while": Fault(for_a_while(full), places=(SMALL_MINIO,), goes_on=True),
    "the bucket is removed and made again": Fault(for_a_while(without_bucket), places=BOTH, goes_on=True),
    "the store is away while the job ends": Fault(
        while_it_ends(down("stop")), places=BOTH, statuses=STOPPED, most_s=90
    ),
    "the store stays away, and its job is uploaded later": Fault(
        to_the_end(down("stop")), places=BOTH, state="Stopped", after=lambda job: job.upload(), most_s=5
    ),
    "the container is stopped": Fault(
        lambda job: docker("stop", "-t", "120", job.container()), places=(COMPOSE,), statuses=STOPPED, most_s=30
    ),
    "the container is killed": Fault(
        lambda job: docker("kill", job.container()),
        places=(COMPOSE,),
        statuses=(137,),
        state="InProgress",
        after=lambda job: job.await_silence(),
    ),
    "the container is paused": Fault(
        for_seconds(paused(lambda job: job.container()), 5), places=(COMPOSE,), goes_on=True
    ),
    "the environment leaks memory": Fault(leaks, places=(COMPOSE,)),
    "the container loses its network": Fault(for_a_while(without_network), places=(COMPOSE,), goes_on=True),
    "SIGTERM to scripts/train": Fault(sends(signal.SIGTERM), places=(COMPOSE,), statuses=STOPPED, most_s=30),
    "Ctrl-C to scripts/train": Fault(sends(signal.SIGINT), places=(COMPOSE,), statuses=(130,), most_s=30),
}
