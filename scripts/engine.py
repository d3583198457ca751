"""The Docker engine, as the command line of `docker` shows it."""

from __future__ import annotations

import json
import secrets
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, List, Optional, Sequence

from rl_app.errors import UserError
from scripts.environments import ROOT

DEADLINE = 10.0  # seconds in which an engine that works has answered
PORT_SETTINGS = {"minio": "S3_PORT"}
PULL_DEADLINE = 300.0  # the same, where it may have to pull an image first
# The base of our images, which a build pulls anyway.
PROBE = "python:3.8-slim-bookworm"


def why_not() -> Optional[str]:
    """Why Docker cannot be used here, in a few words; None where an engine and `docker compose` answer."""
    return refusal(["docker", "info", "--format", "{{.ServerVersion}}"]) or refusal(["docker", "compose", "version"])


def why_no_gpu() -> Optional[str]:
    """Why a container gets no GPU here, in a few words; None where one was given to it."""
    given = ["docker", "run", "--rm", "--gpus", "all", "--platform", "linux/amd64", PROBE, "echo", "given"]
    said = refusal(given, PULL_DEADLINE)
    return said and gpu_trouble(said)


def gpu_trouble(said: str) -> str:
    """What Docker says where it cannot give a container a GPU, by its cause."""
    if "could not select device driver" in said:
        return "this engine has no NVIDIA container toolkit: install nvidia-container-toolkit where it runs"
    if "nvidia-container-cli" in said:
        return f"the NVIDIA container toolkit finds no driver or no GPU: {said.rpartition('nvidia-container-cli: ')[2]}"
    return said


def refusal(command: Sequence[str], deadline: Optional[float] = None) -> Optional[str]:
    """What is wrong with a command that has to work; None if nothing is."""
    name, deadline = " ".join(command[:2]), deadline or DEADLINE
    try:
        asked = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            timeout=deadline,
            check=False,
        )
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
    """Where a container sees a file or directory of this machine that :func:`run_service` mounts."""
    return f"/mnt/{Path(path).resolve().name}"


def run_service(
    service: str, words: Sequence[str], mounts: Sequence[str] = (), ports: Sequence[str] = (), root: Path = ROOT
) -> int:
    """Runs a compose service once, built from the source as it is, and returns its exit status.

    ``ports`` are published, as `docker run --publish` takes them.

    SIGINT, SIGTERM and SIGHUP go on to the container. `docker compose run` passes on only what is typed on
    its terminal: at a signal it ends, and leaves the container running.

    Raises:
        UserError: a port that a service needs, on which the first one depends, is another's.
    """
    check_ports(service, root)
    terminal = sys.stdin.isatty() and sys.stdout.isatty()
    container = f"rllib-{service}-{secrets.token_hex(4)}"
    command = ["docker", "compose", "run", "--rm", "--build", "--name", container]
    for path in mounts:
        command += ["--volume", f"{Path(path).resolve()}:{mounted(path)}:ro"]
    for port in ports:
        command += ["--publish", port]
    command += [service, *words] if terminal else ["-T", service, *words]
    # Without a terminal, compose gets a session of its own, so that Ctrl-C reaches this process alone.
    process = subprocess.Popen(
        command, cwd=root, stdin=None if terminal else subprocess.DEVNULL, start_new_session=not terminal
    )
    with Forwarding(process, container) as forwarding:
        status = process.wait()
    if forwarding.abandoned is not None:
        quietly(["docker", "rm", "--force", container])
        return 128 + forwarding.abandoned
    return status


def check_ports(service: str, root: Path) -> None:
    """Raises UserError for a port that is taken, which compose finds out late and says in many lines."""
    services = json.loads(
        output(["docker", "compose", "--profile", service, "config", "--format", "json"], root) or "{}"
    ).get("services", {})
    for needed in services.get(service, {}).get("depends_on", {}):
        if output(["docker", "compose", "ps", "--quiet", needed], root).strip():
            continue  # it runs, and the port is its own
        for port in services[needed].get("ports", []):
            address = (port.get("host_ip", ""), int(port.get("published") or 0))
            try:
                socket.create_server(address).close()
            except OSError:
                setting = PORT_SETTINGS.get(needed, "another port")
                raise UserError(f"{setting} = {address[1]}: something else listens there; give a free one") from None


def output(command: Sequence[str], root: Path) -> str:
    """What a command prints; "" where it fails, which the next one will say better."""
    return subprocess.run(
        command, cwd=root, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ).stdout


class Forwarding:
    """Passes signals to this process on to the container, or to compose while there is no container yet."""

    def __init__(self, process: subprocess.Popen[bytes], container: str) -> None:
        self.process = process
        self.container = container
        self.abandoned: Optional[int] = None  # the signal that came before the container was there

    def __enter__(self) -> Forwarding:
        self.before = {
            number: signal.signal(number, self.forward) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        }
        return self

    def __exit__(self, *_: Any) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def forward(self, number: int, _: Any) -> None:
        # A terminal that has gone away is a request to stop.
        name = signal.Signals(signal.SIGTERM if number == signal.SIGHUP else number).name
        if not quietly(["docker", "kill", "--signal", name, self.container]):
            self.abandoned = number
            self.process.send_signal(signal.SIGINT)


def quietly(command: List[str]) -> bool:
    """Whether a command succeeded."""
    silent = subprocess.DEVNULL
    # A session of its own: a Ctrl-C that is being passed on must not end what passes it on.
    return (
        subprocess.run(
            command, stdin=silent, stdout=silent, stderr=silent, start_new_session=True, check=False
        ).returncode
        == 0
    )


def answer(command: Sequence[str]) -> str:
    """What a command prints; "" where it fails or is not there."""
    try:
        asked = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    except OSError:
        return ""
    return asked.stdout.decode("utf-8", "replace").strip() if asked.returncode == 0 else ""
