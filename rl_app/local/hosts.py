"""Local mode on several hosts: the containers that join a job are found, named as SageMaker names them, and told it."""

from __future__ import annotations

import os
import secrets
import signal
import socket
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Iterator, List, Mapping, Optional, Sequence

from rl_app.cluster.head import Head
from rl_app.cluster.proof import PASSWORD, password_of
from rl_app.errors import JobError, UserError
from rl_app.job.sagemaker import Paths
from rl_app.local.checked_job import CheckedJob
from rl_app.local.closing import say
from rl_app.local.record import as_json
from rl_app.storage.directory import DirectoryStore

PORT = 7770
"""Where the job's container listens for those that join it."""
DEADLINE_S = 60.0
"""Within which they, which were started together, find each other."""
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

    def name_of(self, address: str) -> str:
        """Return the name of the host at an address."""
        return next(name for name, other in self.addresses.items() if other == address)

    def make_known(self, file: Path = HOSTS_FILE) -> None:
        """Have the names resolve in this container, as they do on SageMaker; once, however often a job goes on."""
        lines = "".join(f"{address}\t{name}\n" for name, address in self.addresses.items())
        if lines not in file.read_text():
            with file.open("a") as stream:
                stream.write(lines)


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


class Gathered:
    """The containers that join a job, and stay until it has ended: also while it is interrupted and goes on."""

    def __init__(self, names: Sequence[str], environ: Mapping[str, str]) -> None:
        self._hosts = found(names)
        self._hosts.make_known()
        self._environ = {**environ, PASSWORD: environ.get(PASSWORD) or secrets.token_hex(32)}
        addresses = [*self._hosts.addresses.values()]
        self._head = Head(addresses, addresses[0], password_of(environ, ()), on_stop=self._stop, port=PORT)

    @property
    def number(self) -> int:
        """Return how many hosts there are with this one."""
        return len(self._hosts.addresses)

    def begin(self, request: CheckedJob, name: str, paths: Paths) -> Mapping[str, str]:
        """Have every host know what it is to do, once all is laid out here; return the environment of the job here.

        Raises:
            JobError: a container did not come, or has gone.
        """
        self._head.wait(DEADLINE_S, "")
        config = DirectoryStore(paths.config)
        config.write("resourceconfig.json", as_json(self._hosts.resources(next(iter(self._hosts.addresses)))))
        job = {
            "name": name,
            "store": request.store.url,
            "hyperparameters": config.read("hyperparameters.json").decode(),
            "addresses": dict(self._hosts.addresses),
            "secret": self._environ[PASSWORD],
            "channels": {channel: str(paths.data / channel) for channel in request.channels},
        }
        self._head.tell({"job": job})
        say(f"hosts: {', '.join(self._hosts.addresses)}")
        return self._hosts.reached_without_proxy(self._environ)

    def end(self, status: int, reason: Optional[str]) -> None:
        """Have the containers end as the job has."""
        self._head.end(status, reason or "")

    def _stop(self, address: str) -> None:
        say(f"{self._hosts.name_of(address)} is told to stop, and with it the job")
        os.kill(os.getpid(), signal.SIGTERM)


@contextmanager
def gathered(names: Sequence[str], environ: Mapping[str, str]) -> Iterator[Optional[Gathered]]:
    """Find the containers that join a job, where there are any, and let them go at the end of the block."""
    if not names:
        yield None
        return
    hosts = Gathered(names, environ)
    try:
        yield hosts
    except (UserError, JobError) as error:
        hosts.end(error.errno, str(error))
        raise
    finally:  # where nobody has said how
        hosts.end(JobError.errno, "its container has ended")
