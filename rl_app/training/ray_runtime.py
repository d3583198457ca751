"""Ray on this machine, started for one job and gone with it."""

from __future__ import annotations

import json
import logging
import math
import os
import secrets
import shutil
import signal
import sys
import tempfile
import threading
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterator, List, Optional, Sequence

from rl_app.disk import MIB
from rl_app.errors import UserError
from rl_app.machine import VISIBLE_DEVICES, Machine, devices
from rl_app.stopping.relay import how

if TYPE_CHECKING:
    from rl_app.training.cluster import Cluster

# Ray 0.8.5 refuses an object store that is smaller (ray_constants.OBJECT_STORE_MINIMUM_MEMORY_BYTES)
SMALLEST_STORE = 75 * MIB
LARGEST_STORE = 2 * 1024**3
# Ray's own names for the processes without which a job cannot go on, and what they are to a person
NEEDED = {"raylet": "raylet", "redis_server": "redis-server"}
WATCH_S = 0.2
# An address of this machine alone; in place of 127.0.0.1 Ray 0.8.5 takes one that others reach (address_to_ip)
LOOPBACK = "127.0.0.2"
# Ray's own, of 100 ms each, after which it takes a host for dead; the cluster's connection says so earlier
HEARTBEATS = json.dumps({"num_heartbeats_timeout": 100})
# Ray 0.8.5 knows these two places for it, in this order
SHARED_MEMORY, TEMPORARY = Path("/dev/shm"), Path("/tmp")


@contextmanager
def running(
    machine: Machine,
    num_gpus: float = 0,
    num_gpus_per_worker: float = 0,
    died: Callable[[str], None] = lambda _: None,
    cluster: Optional[Cluster] = None,
) -> Iterator[None]:
    """Run Ray with the machine's CPUs and GPUs while the block runs, and with those of a cluster's other hosts.

    ``died`` is told of the first of Ray's processes that has ended too early.

    Ray is told one CPU more than there is: a job's driver counts as one and mostly waits for its workers.

    The trainer runs in this process, to which Ray assigns nothing: it sees the first ``num_gpus`` GPUs, or the
    part of one, and none where that is 0, since TensorFlow takes what it sees. The workers' are all the others.
    """
    on_sigterm = signal.getsignal(signal.SIGTERM)
    import ray

    known = devices(machine.parts[0].gpus)
    workers = known[int(num_gpus) :] if num_gpus_per_worker else []
    try:
        with _seeing(workers), _no_script_directory(), nullcontext() if cluster else _redis_on_this_machine_alone():
            ray.init(
                **(_for_others(cluster) if cluster else _for_this_machine(machine)),
                num_gpus=len(workers),
                object_store_memory=object_store_bytes(),
                include_webui=False,
                logging_level=logging.WARNING,
            )
        # Importing Ray puts a handler of its own there, and starting it one of glog's: both end the process at once.
        # What is sent in between comes by another signal (see rl_app.stopping.relay).
        signal.signal(signal.SIGTERM, on_sigterm)
        with _seeing(known[: math.ceil(num_gpus)]), _watched(died):
            if cluster:
                cluster.gather(num_gpus_per_worker > 0)
            yield
    finally:
        if cluster:
            cluster.release()
        ray.shutdown()


def _for_this_machine(machine: Machine) -> Dict[str, Any]:
    return {
        "redis_password": secrets.token_hex(16),
        "node_ip_address": LOOPBACK,
        "temp_dir": tempfile.gettempdir(),  # of this job alone; over hosts all have to have the same
        "num_cpus": machine.cpus + 1,
    }


def _for_others(cluster: Cluster) -> Dict[str, Any]:
    """Return what has Ray answer to the cluster's hosts.

    Each has as many CPUs as there are: with one more the first would take a worker from another.
    """
    return {
        "redis_password": cluster.password,
        "node_ip_address": cluster.head.address,
        "num_cpus": cluster.machine.parts[0].cpus,
        "_internal_config": HEARTBEATS,
    }


def start_command(address: str, here: str, password: str, cpus: int, gpus: int) -> List[str]:
    """Return what starts Ray on a host that joins the Ray of another, and runs as long as it does.

    Args:
        address: where the other Ray's redis listens.
        here: the address of this host.
    """
    words = {
        "--address": address,
        "--node-ip-address": here,
        "--redis-password": password,
        "--num-cpus": str(cpus),
        "--num-gpus": str(gpus),
        "--object-store-memory": str(object_store_bytes()),
        "--internal-config": HEARTBEATS,
    }
    flags = [word for pair in words.items() for word in pair]
    return [sys.executable, "-m", "ray.scripts.scripts", "start", *flags, "--block"]


@contextmanager
def imported(machine: Machine, num_gpus: float = 0) -> Iterator[None]:
    """Import Ray, which does not run, for a trainer that sees the GPUs that it would see with it."""
    on_sigterm = signal.getsignal(signal.SIGTERM)
    import ray  # noqa: F401

    signal.signal(signal.SIGTERM, on_sigterm)
    with _seeing(devices(machine.gpus)[: math.ceil(num_gpus)]):
        yield


@contextmanager
def _redis_on_this_machine_alone() -> Iterator[None]:
    """Have Ray's redis listen on loopback: Ray 0.8.5 starts it for all interfaces, and loads pickles from it."""
    from ray import services

    start = services.start_ray_process

    def start_on_loopback(command: Sequence[str], process_type: str, *arguments: Any, **others: Any) -> Any:
        is_redis = process_type == "redis_server"
        bound = [*command, "--bind", "127.0.0.1", LOOPBACK] if is_redis else command
        return start(bound, process_type, *arguments, **others)

    services.start_ray_process = start_on_loopback
    try:
        yield
    finally:
        services.start_ray_process = start


@contextmanager
def _watched(died: Callable[[str], None]) -> Iterator[None]:
    """Tell of the first of Ray's processes that ends while the block runs: a driver without them waits for ever."""
    from ray import worker

    started = worker._global_node.all_processes
    needed = [(name, each.process) for kind, name in NEEDED.items() for each in started[kind]]
    over = threading.Event()

    def watch() -> None:
        while not over.wait(WATCH_S):
            for name, process in needed:
                if process.poll() is not None:
                    died(f"Ray's {name} {how(process.returncode)}")
                    return

    thread = threading.Thread(target=watch, name="watch Ray", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextmanager
def _seeing(gpus: Sequence[str]) -> Iterator[None]:
    """Let this process, and what it starts, see these GPUs alone."""
    before = os.environ.get(VISIBLE_DEVICES)
    os.environ[VISIBLE_DEVICES] = ",".join(gpus)
    try:
        yield
    finally:
        del os.environ[VISIBLE_DEVICES]
        if before is not None:
            os.environ[VISIBLE_DEVICES] = before


@contextmanager
def _no_script_directory() -> Iterator[None]:
    """Keep Ray from putting our package's own directory on its workers' path, before a user's ``envs.py``."""
    script, sys.argv[0] = sys.argv[0], ""
    try:
        yield
    finally:
        sys.argv[0] = script


def check_memory(say: Callable[[str], None], shared_memory: Path = SHARED_MEMORY, temporary: Path = TEMPORARY) -> None:
    """Tell where Ray has to keep its objects in files, which is slower.

    Raises:
        UserError: it has no space for them anywhere.
    """
    if fits(shared_memory):
        return
    needed = f"{shared_memory} has {_usable(shared_memory) // MIB} MiB to spare, and Ray needs {SMALLEST_STORE // MIB}"
    if not fits(temporary):
        raise UserError(f"{needed}, there or in {temporary}: `docker run --shm-size 1g` gives more")
    say(f"{needed}: it keeps its objects in {temporary}, which is slower; `docker run --shm-size 1g` gives more")


def object_store_bytes(shared_memory: Path = SHARED_MEMORY, temporary: Path = TEMPORARY) -> int:
    """Return what Ray's object store may take: a job's batches and weights are far below 2 GiB.

    Ray's default is 30 % of the machine's memory, and where that is more than /dev/shm holds (containers), it
    falls back to files in /tmp, which is slower, and there it asks for as much, whether it is there or not.
    """
    return min(_usable(shared_memory if fits(shared_memory) else temporary), LARGEST_STORE)


def fits(directory: Path) -> bool:
    """Return whether the smallest object store that Ray takes has room in the directory."""
    return _usable(directory) >= SMALLEST_STORE


def _usable(directory: Path) -> int:
    """Most of what is free there; the rest is for others."""
    return int(shutil.disk_usage(directory).free * 0.8) if directory.is_dir() else 0
