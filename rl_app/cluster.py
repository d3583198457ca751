"""Ray on this machine, started for one job and gone with it."""

from __future__ import annotations

import logging
import math
import os
import shutil
import signal
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import Callable, Iterator, Sequence

from rl_app.disk import MIB
from rl_app.errors import UserError
from rl_app.machine import VISIBLE_DEVICES, Machine, devices

# Ray 0.8.5 refuses an object store that is smaller (ray_constants.OBJECT_STORE_MINIMUM_MEMORY_BYTES)
SMALLEST_STORE = 75 * MIB
LARGEST_STORE = 2 * 1024**3
# Ray 0.8.5 knows these two places for it, in this order
SHARED_MEMORY, TEMPORARY = Path("/dev/shm"), Path("/tmp")


@contextmanager
def running(machine: Machine, num_gpus: float = 0, num_gpus_per_worker: float = 0) -> Iterator[None]:
    """Runs Ray with the machine's CPUs and GPUs while the block runs.

    Ray is told one CPU more than there is: a job's driver counts as one and mostly waits for its workers.

    The trainer runs in this process, to which Ray assigns nothing: it sees the first ``num_gpus`` GPUs, or the
    part of one, and none where that is 0, since TensorFlow takes what it sees. The workers' are all the others.
    """
    on_sigterm = signal.getsignal(signal.SIGTERM)
    import ray

    known = devices(machine.gpus)
    workers = known[int(num_gpus) :] if num_gpus_per_worker else []
    with _seeing(workers), _no_script_directory():
        ray.init(
            num_cpus=machine.cpus + 1,
            num_gpus=len(workers),
            object_store_memory=object_store_bytes(),
            include_webui=False,
            logging_level=logging.WARNING,
        )
    # Importing Ray puts a handler of its own there, and starting it one of glog's: both end the process at once
    signal.signal(signal.SIGTERM, on_sigterm)
    try:
        with _seeing(known[: math.ceil(num_gpus)]):
            yield
    finally:
        ray.shutdown()


@contextmanager
def _seeing(gpus: Sequence[str]) -> Iterator[None]:
    """Lets this process, and what it starts, see these GPUs alone."""
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
    """Keeps Ray from putting our package's own directory on its workers' path, before a user's ``envs.py``."""
    script, sys.argv[0] = sys.argv[0], ""
    try:
        yield
    finally:
        sys.argv[0] = script


def check_memory(say: Callable[[str], None], shared_memory: Path = SHARED_MEMORY, temporary: Path = TEMPORARY) -> None:
    """Tells where Ray has to keep its objects in files, which is slower.

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
    """What Ray's object store may take: a job's batches and weights are far below 2 GiB.

    Ray's default is 30 % of the machine's memory, and where that is more than /dev/shm holds (containers), it
    falls back to files in /tmp, which is slower, and there it asks for as much, whether it is there or not.
    """
    return min(_usable(shared_memory if fits(shared_memory) else temporary), LARGEST_STORE)


def fits(directory: Path) -> bool:
    """Whether the smallest object store that Ray takes has room in the directory."""
    return _usable(directory) >= SMALLEST_STORE


def _usable(directory: Path) -> int:
    """Most of what is free there; the rest is for others."""
    return int(shutil.disk_usage(directory).free * 0.8) if directory.is_dir() else 0
