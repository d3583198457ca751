"""The password of a job, and the proof that somebody knows it, which does not tell it."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import Mapping, Sequence

PASSWORD = "RL_CLUSTER_PASSWORD"
"""The environment variable of a job that has one of its own."""


def password_of(environ: Mapping[str, str], hosts: Sequence[str]) -> str:
    """Return the password of a job, the same on each of its hosts.

    SageMaker's hosts share no secret that nobody gave them: without one the job's name stands for it, which keeps
    jobs apart, and out only those who do not know it.
    """
    name = environ.get("TRAINING_JOB_ARN") or environ.get("TRAINING_JOB_NAME") or ""
    secret = environ.get(PASSWORD) or "\n".join([name, *hosts])
    return hashlib.sha256(secret.encode()).hexdigest()


def nonce() -> str:
    """Return a number that is used once."""
    return secrets.token_hex(16)


def proof(password: str, *about: str) -> str:
    """Return what only those can say who know the password, and of these words alone."""
    return hmac.new(password.encode(), "\n".join(about).encode(), hashlib.sha256).hexdigest()


def proves(given: object, password: str, *about: str) -> bool:
    """Return whether it is the proof."""
    return isinstance(given, str) and hmac.compare_digest(given.encode(), proof(password, *about).encode())
