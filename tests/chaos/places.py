"""Where the jobs run that faults are done to: in a process or a container, with a directory or a MinIO for a store."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import uuid
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Callable, Dict, List, Optional, Sequence, Type

from rl_app.storage.base import Store
from rl_app.storage.opening import open_store
from tests.app.jobs import REPOSITORY
from tests.chaos.job import Job
from tests.stack.conftest import S3_IMAGE, Minio, docker
from tests.stack.proxy import Proxy

ALONE, WITH_WORKER, MINIO, SMALL_MINIO, COMPOSE = "alone", "a worker", "MinIO", "a small MinIO", "compose"
HOSTS, HOSTS_THAT_GO_ON = "two hosts", "two hosts that go on"
PLACES = (ALONE, WITH_WORKER, MINIO, SMALL_MINIO, COMPOSE, HOSTS, HOSTS_THAT_GO_ON)


class ComposeMinio(Minio):
    """The server of docker-compose.yml, which compose itself starts."""

    def __init__(self) -> None:
        super().__init__()
        self.project = f"chaos-{uuid.uuid4().hex[:8]}"
        self.name = f"{self.project}-minio-1"

    def remove(self) -> None:
        done = ["docker", "compose", "--profile", "*", "down", "--volumes", "--timeout", "5"]
        subprocess.run(done, cwd=str(REPOSITORY), env=self.settings(), check=True, capture_output=True, timeout=120)

    def settings(self) -> Dict[str, str]:
        """What docker-compose.yml and the scripts read."""
        return {
            **os.environ,
            "COMPOSE_PROJECT_NAME": self.project,
            "S3_PORT": self.endpoint.rpartition(":")[2],
            "S3_ACCESS_KEY": self.environ["AWS_ACCESS_KEY_ID"],
            "S3_SECRET_KEY": self.environ["AWS_SECRET_ACCESS_KEY"],
        }


class SmallMinio(Minio):
    """A server whose disk of 64 MB is soon full; what it holds does not survive stop()."""

    def options(self) -> List[str]:
        return ["--tmpfs", "/data:size=64m"]


class StoredJob(Job):
    """A job in a process, whose store is a bucket of a server behind a proxy."""

    def __init__(self, folder: Path, server: Minio, workers: int = 0, settings: Sequence[str] = ()) -> None:
        super().__init__(folder, workers, settings)
        self.server, self._work = server, folder / "work"
        self.proxy = Proxy(server.endpoint)
        self.bucket = f"chaos-{uuid.uuid4().hex[:8]}"

    @property
    def url(self) -> str:
        return f"s3://{self.bucket}"

    @property
    def base(self) -> Path:
        return self._work / self.name

    def environment(self) -> Dict[str, str]:
        ours = {"AWS_ENDPOINT_URL_S3": self.proxy.url, "RL_WORK": str(self._work)}
        return {**super().environment(), **self.server.environ, **ours}

    def remote(self) -> Store:
        """Its store, past the proxy."""
        return open_store(self.url, self.server.environ)

    def look(self) -> None:
        shutil.rmtree(self.directory, ignore_errors=True)
        remote = self.remote()
        for entry in remote.list(self.name):
            remote.download(entry.key, self.store / entry.key)

    def upload(self) -> None:
        """Bring to the store what the job could not, as a person does who reads the hint."""
        command = [sys.executable, "-m", "rl_app", "local", "upload", self.name, "--store", self.url]
        self._do(command)

    def _do(self, command: List[str]) -> None:
        done = subprocess.run(
            command,
            cwd=str(REPOSITORY),
            env={**os.environ, **self.environment()},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"


class ContainedJob(StoredJob):
    """A job that ``scripts/train`` runs in a container of compose, beside compose's MinIO."""

    hosts = 1

    def __init__(self, folder: Path, server: ComposeMinio, workers: int = 0, settings: Sequence[str] = ()) -> None:
        super().__init__(folder, server, workers, settings)
        self.settings = server.settings
        self.project = server.project

    def command(self, words: List[str]) -> List[str]:
        return [str(REPOSITORY / "scripts" / "train"), "--engine", "docker", "--hosts", str(self.hosts), *words]

    def environment(self) -> Dict[str, str]:
        return self.settings()

    def container(self, service: str = "train") -> str:
        """The id of the container of a compose service; raises ValueError where there is none, or several."""
        (found,) = self._containers(service)
        return found

    def _containers(self, service: str = "") -> List[str]:
        labels = {"project": self.project, **({"service": service} if service else {"oneoff": "True"})}
        filters = (f"--filter=label=com.docker.compose.{key}={value}" for key, value in labels.items())
        return docker("ps", "-q", *filters).split()

    def look(self) -> None:
        super().look()
        shutil.rmtree(self.base, ignore_errors=True)
        self.base.mkdir(parents=True)
        volume = f"{self.project}_jobs"
        if volume not in docker("volume", "ls", "-q").split():
            return
        reader = docker("create", "--volume", f"{volume}:/jobs", S3_IMAGE).strip()
        with suppress(AssertionError):  # it has left nothing there
            docker("cp", f"{reader}:/jobs/{self.name}/checkpoints", str(self.base))
        docker("rm", "-v", reader)

    def await_end_of_family(self, deadline_s: float) -> List[str]:
        return [*super().await_end_of_family(deadline_s), *self._containers()]

    def upload(self) -> None:
        self._do([str(REPOSITORY / "scripts" / "upload"), "--engine", "docker", self.name, "--store", self.url])


class HostsJob(ContainedJob):
    """A job of two hosts, with a worker of Ray's on each."""

    hosts = 2

    def __init__(self, folder: Path, server: ComposeMinio, when_lost: str) -> None:
        all_cpus = f"config.num_cpus_per_worker={len(os.sched_getaffinity(0))}"
        super().__init__(folder, server, 2, [all_cpus, f"on_host_lost={when_lost}"])

    def process_elsewhere(self, part: str) -> int:
        """The pid of a process of the host that does not train, by a part of its command line."""
        running = docker("top", self.container("worker"), "-eo", "pid,args").splitlines()[1:]
        return next(int(line.split()[0]) for line in running if part in line)


class Jobs:
    """A job for each place, made where it is asked for; what they need is removed at the end."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._made = folder, ExitStack()
        self._jobs: Dict[str, Job] = {}
        self._composed: Optional[ComposeMinio] = None

    def __enter__(self) -> "Jobs":
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self._made.close()

    def at(self, place: str) -> Job:
        """Return the job that runs there."""
        if place not in self._jobs:
            makers: Dict[str, Callable[[Path], Job]] = {
                ALONE: lambda folder: Job(folder, 0),
                WITH_WORKER: lambda folder: Job(folder, 1),
                MINIO: lambda folder: StoredJob(folder, self._server(Minio())),
                SMALL_MINIO: lambda folder: StoredJob(folder, self._server(SmallMinio())),
                COMPOSE: lambda folder: ContainedJob(folder, self._compose()),
                HOSTS: lambda folder: HostsJob(folder, self._compose(), "fail"),
                HOSTS_THAT_GO_ON: lambda folder: HostsJob(folder, self._compose(), "go_on"),
            }
            self._jobs[place] = makers[place](self._folder / place.replace(" ", "-"))
        return self._jobs[place]

    def _server(self, server: Minio) -> Minio:
        self._made.callback(server.remove)
        server.run()
        return server

    def _compose(self) -> ComposeMinio:
        if self._composed is None:
            self._composed = server = ComposeMinio()
            self._made.callback(server.remove)
            up = ["docker", "compose", "up", "-d", "--wait", "minio"]
            done = subprocess.run(up, cwd=str(REPOSITORY), env=server.settings(), capture_output=True, timeout=120)
            assert done.returncode == 0, done.stderr
        return self._composed
