"""Local mode on several hosts: the containers that join a job are found, named as SageMaker names them, and staged."""

from __future__ import annotations

import argparse
import json
import secrets
import socket
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence

from rl_app.cluster.head import Head
from rl_app.cluster.member import Membership, join
from rl_app.cluster.proof import PASSWORD, password_of
from rl_app.errors import JobError, UserError
from rl_app.job import user_code
from rl_app.job.sagemaker import Paths
from rl_app.local.checked_job import CheckedJob
from rl_app.local.closing import say
from rl_app.local.opt_ml import clear
from rl_app.local.record import as_json
from rl_app.stopping.child import caught_signals, start, supervise
from rl_app.storage import layout
from rl_app.storage.base import Store
from rl_app.storage.directory import DirectoryStore
from rl_app.storage.mirror import Mirror
from rl_app.storage.opening import open_store

PORT = 7770
"""Where the job's container listens for those that join it."""
DEADLINE_S = 60.0
"""Within which they, which were started together, find each other."""
UPLOAD_S = 20.0
FOREVER_S = 1e8
"""The job's container has it stopped when its time is over."""
HOSTS_FILE = Path("/etc/hosts")


@dataclass(frozen=True)
class Hosts:
    """The hosts of a job: the address of each, by name, the first first."""

    addresses: Mapping[str, str]

    def resources(self, current: str) -> Dict[str, object]:
        """Return resourceconfig.json of a host."""
        return {"current_host": current, "hosts": [*self.addresses], "network_interface_name": "eth0"}

    def reached_without_proxy(self, environ: Mapping[str, str]) -> Dict[str, str]:
        """Return the environment in which Ray finds the hosts, that of a container with the proxies of its engine."""
        names = ",".join([*self.addresses, *self.addresses.values()])
        return {**environ, **{key: f"{names},{environ.get(key, '')}" for key in ("NO_PROXY", "no_proxy")}}

    def make_known(self, file: Path = HOSTS_FILE) -> None:
        """Have the names resolve in this container, as they do on SageMaker."""
        with file.open("a") as stream:
            stream.writelines(f"{address}\t{name}\n" for name, address in self.addresses.items())


def found(names: Sequence[str]) -> Hosts:
    """Return the hosts of a job that the containers of these names join; a name may stand for several.

    Raises:
        UserError: a name stands for none.
    """
    addresses: List[str] = [own_address()]
    for name in names:
        try:
            addresses += sorted(socket.gethostbyname_ex(name)[2])
        except OSError:
            raise UserError(f"--hosts {name}: there is no container of this name") from None
    return Hosts({f"algo-{number}": address for number, address in enumerate(addresses, 1)})


def own_address() -> str:
    """Return the address of this container."""
    return socket.gethostbyname(socket.gethostname())


def staged(request: CheckedJob, name: str, paths: Paths, environ: Mapping[str, str]) -> Mapping[str, str]:
    """Have every host of the job know what it is to do; return the environment of the job's process here.

    Raises:
        JobError: a container did not come.
    """
    hosts = found(request.hosts)
    hosts.make_known()
    first, address = next(iter(hosts.addresses.items()))
    secret = environ.get(PASSWORD) or secrets.token_hex(32)
    head = Head([*hosts.addresses.values()], address, password_of(environ, ()), port=PORT)
    try:
        head.wait(DEADLINE_S)
        config = DirectoryStore(paths.config)
        config.write("resourceconfig.json", as_json(hosts.resources(first)))
        job = {
            "name": name,
            "store": request.store.url,
            "hyperparameters": config.read("hyperparameters.json").decode(),
            "addresses": dict(hosts.addresses),
            "secret": secret,
        }
        head.tell({"job": job})
    finally:
        head.end(0, "")
    say(f"hosts: {', '.join(hosts.addresses)}")
    return {**hosts.reached_without_proxy(environ), PASSWORD: secret}


# ---- the side of a container that joins


def _job(joined: Membership) -> Dict[str, Any]:
    """Return what the job's container says of the job; raises JobError where it has ended before."""
    message = joined.next(DEADLINE_S) or {}
    joined.leave()
    job: Optional[Dict[str, Any]] = message.get("job")
    if job is None:
        raise JobError(f"{joined.head} has no job for this host: {message.get('gone', 'it has ended')}")
    return job


def _lay_out(paths: Paths, job: Mapping[str, Any], resources: Mapping[str, object], store: Store) -> None:
    """Lay out what SageMaker lays out in /opt/ml, without what the first host alone reads."""
    clear(paths)
    config = DirectoryStore(paths.config)
    config.write("hyperparameters.json", job["hyperparameters"].encode())
    config.write("inputdataconfig.json", as_json({}))
    config.write("resourceconfig.json", as_json(resources))
    code = json.loads(job["hyperparameters"]).get("sagemaker_submit_directory")
    if code and not Path(code).is_dir():  # which it is in a volume that containers share
        with tempfile.TemporaryDirectory() as folder:
            archive = Path(folder) / layout.SOURCE_ARCHIVE
            store.download(f"{job['name']}/{layout.SOURCE}", archive)
            user_code.unpack(archive, Path(code))


def serve(head: str, environ: Mapping[str, str], grace: float) -> int:
    """Take part in the job of another container as one of its hosts; return the exit status."""
    paths = Paths(Path(environ.get("SAGEMAKER_BASE_DIR") or "/opt/ml"))
    with caught_signals() as signals:
        own = own_address()
        job = _job(join(head, own, password_of(environ, ()), 0, 0, DEADLINE_S, PORT))
        hosts = Hosts(job["addresses"])
        hosts.make_known()
        name = next(host for host, address in hosts.addresses.items() if address == own)
        store = open_store(job["store"], environ)
        _lay_out(paths, job, hosts.resources(name), store)
        variables = {"SAGEMAKER_BASE_DIR": str(paths.base), "TRAINING_JOB_NAME": job["name"], PASSWORD: job["secret"]}
        log = Mirror(paths.output_data / name, store, f"{job['name']}/{layout.LIVE}/{name}")
        log.start()
        environ = {**hosts.reached_without_proxy(environ), **variables}
        child = start((sys.executable, "-m", "rl_app", "train"), environ)
        ended = supervise(child, signals, FOREVER_S, grace, say)
        with suppress(JobError):  # the head's own log says how the job has ended
            log.stop(UPLOAD_S)
        return ended.status if ended.status >= 0 else 128 - ended.status


def main(argv: Sequence[str], environ: Mapping[str, str], grace: float) -> int:
    """Run `local host`; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m rl_app local host", description="Be a host of the job that another container runs."
    )
    parser.add_argument("head", metavar="NAME", help="the container that runs the job")
    return serve(parser.parse_args(list(argv)).head, environ, grace)
