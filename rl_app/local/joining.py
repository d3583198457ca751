"""Local mode on several hosts: the side of a container that joins the job of another."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any, Callable, Dict, Mapping, NamedTuple, Optional, Sequence

from rl_app.cluster.member import Membership, join
from rl_app.cluster.proof import PASSWORD, password_of
from rl_app.errors import JobError
from rl_app.job import user_code
from rl_app.job.sagemaker import Paths
from rl_app.local.closing import say
from rl_app.local.hosts import DEADLINE_S, PORT, Hosts, own_address
from rl_app.local.opt_ml import clear
from rl_app.local.record import as_json
from rl_app.stopping.child import Signals, caught_signals, start, supervise
from rl_app.storage import layout
from rl_app.storage.base import Store
from rl_app.storage.directory import DirectoryStore
from rl_app.storage.mirror import Mirror
from rl_app.storage.opening import open_store

LOOK_S = 0.5
"""How often a container that waits looks for signals."""
FOREVER_S = 1e8
"""The job's container has it stopped when its time is over."""
UPLOAD_S = 20.0


class Place(NamedTuple):
    """Where a container takes part in a job: its directories, its environment and its connection to the first host."""

    paths: Paths
    environ: Mapping[str, str]
    joined: Membership
    address: str


def serve(head: str, environ: Mapping[str, str], grace: float) -> int:
    """Take part in the job of another container as one of its hosts, to its end; return the exit status."""
    with caught_signals() as signals:
        own = own_address()
        joined = join(head, own, password_of(environ, ()), 0, 0, DEADLINE_S, PORT, "")
        place = Place(Paths(Path(environ.get("SAGEMAKER_BASE_DIR") or "/opt/ml")), environ, joined, own)
        status: Optional[int] = None
        try:
            while True:
                message = _next(joined, signals)
                if "job" not in message:
                    return _ended(message, head, status)
                status = _play(message["job"], place, signals, grace)
        finally:
            joined.leave()


def _ended(message: Mapping[str, Any], head: str, status: Optional[int]) -> int:
    """Return the status that this host ends with: the job's, else its own, where the job's container is gone."""
    code, reason = message.get("end") or (JobError.errno, message["gone"])
    if status is None:
        say(f"{head} has no job for this host: {reason}")
    return int(code) if "end" in message or status is None else status


def _next(joined: Membership, signals: Signals) -> Dict[str, Any]:
    """Return what the job's container says next: a job, its end, or that it is gone. A signal is its to decide on."""
    while True:
        message = joined.next(LOOK_S)
        if message:
            return message
        if signals.next(0) not in (None, signal.SIGCHLD):
            joined.tell({"stop": True})


def _play(job: Mapping[str, Any], place: Place, signals: Signals, grace: float) -> int:
    """Run this host's part of a job; return its exit status."""
    hosts, paths = Hosts(job["addresses"]), place.paths
    hosts.make_known()
    name = hosts.name_of(place.address)
    store = open_store(job["store"], place.environ)
    _lay_out(paths, job, hosts.resources(name), store)
    variables = {"SAGEMAKER_BASE_DIR": str(paths.base), "TRAINING_JOB_NAME": job["name"], PASSWORD: job["secret"]}
    log = Mirror(paths.output_data / name, store, f"{job['name']}/{layout.LIVE}/{name}")
    log.start()
    child = start(
        (sys.executable, "-m", "rl_app", "train"), {**hosts.reached_without_proxy(place.environ), **variables}
    )
    ended = supervise(child, signals, FOREVER_S, grace, _told(place.joined))
    with suppress(JobError):  # the head's own log says how the job has ended
        log.stop(UPLOAD_S)
    return ended.status if ended.status >= 0 else 128 - ended.status


def _told(joined: Membership) -> Callable[[str], None]:
    """Return what is told why this host is to stop: its person, and the job's container, which stops them all."""

    def tell(why: str) -> None:
        say(why)
        joined.tell({"stop": True})

    return tell


def _lay_out(paths: Paths, job: Mapping[str, Any], resources: Mapping[str, object], store: Store) -> None:
    """Lay out what SageMaker lays out in /opt/ml, without what the first host alone reads."""
    clear(paths)
    config = DirectoryStore(paths.config)
    config.write("hyperparameters.json", job["hyperparameters"].encode())
    config.write("inputdataconfig.json", as_json({name: {"TrainingInputMode": "File"} for name in job["channels"]}))
    config.write("resourceconfig.json", as_json(resources))
    for name, data in job["channels"].items():
        _give(paths.data / name, Path(data))
    code = json.loads(job["hyperparameters"]).get("sagemaker_submit_directory")
    if code and not Path(code).is_dir():  # which it is in a volume that containers share
        with tempfile.TemporaryDirectory() as folder:
            archive = Path(folder) / layout.SOURCE_ARCHIVE
            store.download(f"{job['name']}/{layout.SOURCE}", archive)
            user_code.unpack(archive, Path(code))


def _give(channel: Path, data: Path) -> None:
    """Have a channel lead to what the first host has brought: its volume is this container's too.

    Raises:
        JobError: it is not.
    """
    if not data.is_dir():
        raise JobError(f"channel {channel.name}: {data} is not here, as in a container of another volume")
    channel.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileNotFoundError):  # where the job goes on
        channel.unlink()
    channel.symlink_to(data)


def main(argv: Sequence[str], environ: Mapping[str, str], grace: float) -> int:
    """Run `local host`; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m rl_app local host", description="Be a host of the job that another container runs."
    )
    parser.add_argument("head", metavar="NAME", help="the container that runs the job")
    return serve(parser.parse_args(list(argv)).head, environ, grace)
