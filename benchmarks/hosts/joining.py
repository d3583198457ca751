"""A driver waits for the hosts of a cluster that `ray start` makes."""

from __future__ import annotations

import time
from contextlib import suppress

import ray
import redis
from by_hand import PASSWORD


def wait_for(hosts: int) -> None:
    """Connects to the head, and waits until so many hosts are there."""
    while not joined(hosts):
        time.sleep(0.1)


def joined(hosts: int) -> bool:
    """Whether the head, and by now all hosts, are there."""
    with suppress(ConnectionError, redis.exceptions.ConnectionError):
        if not ray.is_initialized():
            ray.init(address="auto", redis_password=PASSWORD, log_to_driver=False)
        return sum(node["Alive"] for node in ray.nodes()) >= hosts
    return False
