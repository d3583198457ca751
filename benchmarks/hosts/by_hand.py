"""A cluster of Ray's own, of containers that `ray start` has joined."""

from __future__ import annotations

import subprocess
import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, List, Sequence

HERE = Path(__file__).parent
IMAGE = "sagemaker-rllib:cpu"
PASSWORD = "plain"
STORE = "--object-store-memory=600000000"
"""Less than the shared memory: more would be kept in files."""


@contextmanager
def made(hosts: int, cpus: int = 3, more: Sequence[str] = ()) -> Iterator[List[str]]:
    """The names of the containers, the first the head; they see this folder as /plain, and each other as algo-N.

    ``more``: flags of `docker run`.
    """
    network = f"hosts-{uuid.uuid4().hex[:8]}"
    names = [f"{network}-{number}" for number in range(hosts)]
    docker("network", "create", network)
    try:
        for number, name in enumerate(names, 1):
            joins = ["--head", "--redis-port=6379"] if number == 1 else ["--address=algo-1:6379"]
            started = ["ray", "start", "--block", f"--redis-password={PASSWORD}", f"--num-cpus={cpus}", *joins, STORE]
            given = ["--name", name, "--network", network, "--network-alias", f"algo-{number}"]
            given += ["--shm-size", "1g", "-v", f"{HERE}:/plain:ro", *more]
            again = f"until {' '.join(started)}; do sleep 0.2; done"  # the head may not be there yet
            docker("run", "-d", *given, "--entrypoint", "sh", IMAGE, "-c", again)
        yield names
    finally:
        docker("rm", "-f", "-v", *names)
        docker("network", "rm", network)


def docker(*words: str) -> None:
    """Runs a docker command."""
    subprocess.run(["docker", *words], check=True, stdout=subprocess.DEVNULL)
