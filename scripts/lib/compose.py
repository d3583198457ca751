"""The MinIO of docker-compose.yml, as its settings lead to it."""

from __future__ import annotations

import os
import socket
from typing import Dict, Mapping, Optional, Tuple

from rl_app.errors import UserError
from rl_app.storage.opening import directory_of

COMPOSE = "compose"
"""What --store takes for it."""
CONNECT_S = 1.0
STORE = "s3://rllib"


def store_url(settings: Mapping[str, str]) -> str:
    """Return the bucket's URL, which STORE may name."""
    named = settings.get("STORE", "")
    return named if named.startswith("s3://") else STORE


def of_flags(store: Optional[str], engine: Optional[str]) -> Tuple[Optional[str], Optional[str]]:
    """Return the store and the engine that are asked for, where `--store compose` is that of the jobs in Docker.

    Raises:
        UserError: it is asked for together with a process.
    """
    if store != COMPOSE:
        return store, engine
    if engine == "process":
        raise UserError(f"--store {store}: the store of jobs in Docker; not together with --engine process")
    return None, "docker"


def of_containers(environ: Mapping[str, str] = os.environ) -> Dict[str, str]:
    """Return what its containers are told otherwise: a STORE that is a directory of this machine is not theirs."""
    return {"STORE": STORE} if directory_of(environ.get("STORE", "")) else {}


def environ_of(settings: Mapping[str, str]) -> Dict[str, str]:
    """Return what of an environment leads there, as docker-compose.yml has it for its services."""
    return {
        "AWS_ACCESS_KEY_ID": settings.get("S3_ACCESS_KEY") or "rllib-local",
        "AWS_SECRET_ACCESS_KEY": settings.get("S3_SECRET_KEY") or "rllib-local",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{_port(settings)}",
    }


def why_away(settings: Mapping[str, str]) -> Optional[str]:
    """Say why it cannot be asked; None where something listens on its port."""
    port = _port(settings)
    try:
        socket.create_connection(("127.0.0.1", int(port)), timeout=CONNECT_S).close()
    except ValueError:
        return f"S3_PORT = {port}: must be a port's number"
    except (OSError, OverflowError):
        return f"MinIO is not up (127.0.0.1:{port}); `docker compose up -d minio` starts it"
    return None


def _port(settings: Mapping[str, str]) -> str:
    return settings.get("S3_PORT") or "9000"
