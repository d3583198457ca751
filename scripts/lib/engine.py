"""The Docker engine, as the command line of `docker` shows it."""

from __future__ import annotations

import errno
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence

from rl_app.errors import UserError
from rl_app.machine import unless_ignored
from scripts.lib import compose, debian
from scripts.lib.compose_build import Progress
from scripts.lib.environments import ROOT

DEADLINE = 10.0  # seconds in which an engine that works has answered
PORT_SETTINGS = {"minio": "S3_PORT"}
READY = {"IMAGE_POLICY": "missing"}  # for docker-compose.yml: what has just been built is not built again
PULL_DEADLINE = 300.0  # the same, where it may have to pull an image first
# The base of our images, which a build pulls anyway.
PROBE = "python:3.8-slim-bookworm"


def why_not() -> Optional[str]:
    """Say why Docker cannot be used here, in a few words; None where an engine and `docker compose` answer."""
    return refusal(["docker", "info", "--format", "{{.ServerVersion}}"]) or refusal(["docker", "compose", "version"])


def why_no_gpu() -> Optional[str]:
    """Say why a container gets no GPU here, in a few words; None where one was given to it."""
    given = ["docker", "run", "--rm", "--gpus", "all", "--platform", "linux/amd64", PROBE, "echo", "given"]
    said = refusal(given, PULL_DEADLINE)
    return said and gpu_trouble(said)


def gpu_trouble(said: str) -> str:
    """Name the cause of what Docker says where it cannot give a container a GPU."""
    if "could not select device driver" in said:
        return "this engine has no NVIDIA container toolkit: install nvidia-container-toolkit where it runs"
    if "nvidia-container-cli" in said:
        return f"the NVIDIA container toolkit finds no driver or no GPU: {said.rpartition('nvidia-container-cli: ')[2]}"
    return said


def refusal(command: Sequence[str], deadline: Optional[float] = None) -> Optional[str]:
    """Say what is wrong with a command that has to work; None if nothing is."""
    name, deadline = " ".join(command[:2]), deadline or DEADLINE
    try:
        asked = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=deadline, check=False)
    except OSError:
        return f"there is no `{command[0]}` command"
    except subprocess.TimeoutExpired:
        return f"`{name}` did not answer in {deadline:g} s"
    if asked.returncode == 0 and asked.stdout.strip():
        return None
    said = asked.stderr.decode("utf-8", "replace").strip().splitlines()
    # before an error of the engine the client may have said that it pulls an image
    reason = next((line for line in said if "Error response from daemon" in line), said[0] if said else None)
    return f"`{name}` says: {reason}" if reason else f"`{name}` failed"


def mounted(path: str) -> str:
    """Return where a container sees a file or directory of this machine that :func:`run_service` mounts."""
    return f"/mnt/{Path(path).resolve().name}"


def run_service(
    service: str,
    words: Sequence[str],
    mounts: Sequence[str] = (),
    ports: Sequence[str] = (),
    root: Path = ROOT,
    hosts: int = 1,
) -> int:
    """Run a compose service once, built from the source as it is, and return its exit status.

    ``ports`` are published, as `docker run --publish` takes them. All ``hosts`` but one are containers of the service
    `worker`, which join the job. Of what compose does before the service runs,
    only what takes time is shown: a build that is not in the cache, the pull of an image.

    SIGINT, SIGTERM and SIGHUP go on to the container. `docker compose run` passes on only what is typed on
    its terminal: at a signal it ends, and leaves the container running.

    Raises:
        UserError: a port that a service needs, on which the first one depends, is another's; two mounts have a name;
            or the setting DEBIAN names what is no package.
    """
    debian.wanted(root=root)
    check_mounts(mounts)
    needed = needed_services(service, root)
    check_ports(needed, root)
    ready = {**READY, **compose.of_containers()}
    container = f"rllib-{service}-{secrets.token_hex(4)}"
    workers = [f"{container}-{number}" for number in range(2, hosts + 1)]
    joined = ["--hosts", ",".join(workers)] if workers else []
    with Forwarding(container, root) as forwarding, removed(workers):
        status = pull_missing(needed, forwarding) or build(service, forwarding)
        for each in workers:
            if status == 0 and forwarding.abandoned is None:
                status = forwarding.start(worker_command(each, container), ready, silent=True).wait()
        if status == 0 and forwarding.abandoned is None:
            words = [*words, *joined]
            status = forwarding.start(run_command(service, words, mounts, ports, container), ready).wait()
            status = status and forwarding.wait_for_container(status)
    if forwarding.abandoned is not None:
        quietly(["docker", "rm", "--force", container])
        return 128 + forwarding.abandoned
    return status


def check_mounts(paths: Sequence[str]) -> None:
    """Raise UserError for two that a container would see under one name, and for a path that Docker takes for two."""
    seen: Dict[str, str] = {}
    for path in paths:
        if ":" in str(Path(path).resolve()):
            raise UserError(f"{path}: has a colon, at which Docker ends the path of what it mounts; a process takes it")
        other = seen.setdefault(mounted(path), path)
        if Path(other).resolve() != Path(path).resolve():
            raise UserError(f"{other} and {path}: have one name, {Path(path).name}; Docker mounts them by it")


def run_command(
    service: str, words: Sequence[str], mounts: Sequence[str], ports: Sequence[str], container: str
) -> List[str]:
    """Return the command that runs a service whose image is there; compose says nothing of its own but errors."""
    command = ["docker", "compose", "--progress", "quiet", "run", "--rm", "--name", container]
    for path in dict.fromkeys(mounts):
        command += ["--volume", f"{Path(path).resolve()}:{mounted(path)}:ro"]
    for port in ports:
        command += ["--publish", port]
    return [*command, service, *words] if on_terminal() else [*command, "-T", service, *words]


def worker_command(container: str, head: str) -> List[str]:
    """Return the command that starts a container which joins the job of another."""
    quiet = ["docker", "compose", "--progress", "quiet", "run", "--detach", "-T", "--name", container]
    return [*quiet, "worker", "local", "host", head]


@contextmanager
def removed(containers: Sequence[str]) -> Iterator[None]:
    """Remove the containers at the end of the block; those that still run have a moment to end by themselves."""
    try:
        yield
    finally:
        if containers:
            quietly(["docker", "stop", "--time", "30", *containers])
            quietly(["docker", "rm", "--force", *containers])


def on_terminal() -> bool:
    """Tell whether a person types and reads, which nobody does where a shell's `&` has this in the background."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return False
    try:
        return os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except OSError:  # a terminal that controls nothing
        return True


def needed_services(service: str, root: Path) -> Dict[str, Any]:
    """Ask compose which services a service depends on; {} where it fails, which a build says better."""
    asked = answer(["docker", "compose", "--profile", service, "config", "--format", "json"], root)
    services = json.loads(asked or "{}").get("services", {})
    return {name: services[name] for name in services.get(service, {}).get("depends_on", {})}


def check_ports(needed: Mapping[str, Any], root: Path) -> None:
    """Raise UserError for a port that is taken, which compose finds out late and say in many lines."""
    for name, service in needed.items():
        if answer(["docker", "compose", "ps", "--quiet", name], root):
            continue  # it runs, and the port is its own
        for port in service.get("ports", []):
            number = int(port.get("published") or 0)
            check_port(f"{PORT_SETTINGS.get(name, 'another port')} = {number}", port.get("host_ip", ""), number)


def check_port(given: str, host: str, number: int) -> None:
    """Raise UserError for a port that is taken; ``given`` is what its line begins with."""
    try:
        socket.create_server((host, number)).close()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:  # what else there may be is not the engine's, which publishes it
            raise UserError(f"{given}: something else listens there; give a free one") from None


def pull_missing(needed: Mapping[str, Any], forwarding: Forwarding) -> int:
    """Pull the images that are not there, with compose's own progress; return the exit status."""
    missing = [
        name
        for name, service in needed.items()
        if "image" in service and not quietly(["docker", "image", "inspect", service["image"]])
    ]
    return forwarding.start(["docker", "compose", "pull", *missing]).wait() if missing else 0


def build(service: str, forwarding: Forwarding) -> int:
    """Build the service's image, silently where all is in the cache; return the exit status."""
    command = ["docker", "compose", "--progress", "plain", "build", service]
    return Progress(forwarding.start(command, captured=True)).follow()


class Forwarding:
    """Passes signals to this process on to the container, or to compose while there is no container yet."""

    def __init__(self, container: str, root: Path) -> None:
        self.container = container
        self.root = root
        self.process: Optional[subprocess.Popen[bytes]] = None
        self.abandoned: Optional[int] = None  # the signal that came before the container was there

    def start(
        self,
        command: Sequence[str],
        environ: Mapping[str, str] = os.environ,
        captured: bool = False,
        silent: bool = False,
    ) -> subprocess.Popen[bytes]:
        """Start what gets the signals from now on; ``captured``: all that it says is to be read, ``silent``: none."""
        terminal = on_terminal() and not captured and not silent
        # Without a terminal, compose gets a session of its own, so that Ctrl-C reaches this process alone.
        self.process = subprocess.Popen(
            command,
            cwd=self.root,
            env={**os.environ, **environ},
            stdin=None if terminal else subprocess.DEVNULL,
            stdout=subprocess.PIPE if captured else subprocess.DEVNULL if silent else None,
            stderr=subprocess.STDOUT if captured else None,
            start_new_session=not terminal,
        )
        if self.abandoned is not None:  # it came meanwhile, and has missed this one
            self.process.send_signal(signal.SIGINT)
        return self.process

    def wait_for_container(self, status: int) -> int:
        """Return the container's exit status, else ``status``, that of compose.

        Compose ends before it where nobody reads what it passes on, as where Ctrl-C has ended `tee` too.
        """
        said, _ = self.start(["docker", "wait", self.container], captured=True).communicate()
        return int(said) if said.strip().isdigit() else status

    def __enter__(self) -> Forwarding:
        passed_on = (signal.SIGINT, signal.SIGTERM, *unless_ignored(signal.SIGHUP))
        self.before = {number: signal.signal(number, self.forward) for number in passed_on}
        return self

    def __exit__(self, *_: Any) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def forward(self, number: int, _: Any) -> None:
        # A terminal that has gone away is a request to stop.
        name = signal.Signals(signal.SIGTERM if number == signal.SIGHUP else number).name
        if not quietly(["docker", "kill", "--signal", name, self.container]):
            self.abandoned = number
            if self.process:
                self.process.send_signal(signal.SIGINT)


def quietly(command: List[str]) -> bool:
    """Tell whether a command succeeded."""
    silent = subprocess.DEVNULL
    # A session of its own: a Ctrl-C that is being passed on must not end what passes it on.
    done = subprocess.run(command, stdin=silent, stdout=silent, stderr=silent, start_new_session=True, check=False)
    return done.returncode == 0


def answer(command: Sequence[str], folder: Optional[Path] = None) -> str:
    """Return what a command prints; "" where it fails, which the next one will say better, or is not there."""
    try:
        asked = subprocess.run(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
    except OSError:
        return ""
    return asked.stdout.decode("utf-8", "replace").strip() if asked.returncode == 0 else ""
