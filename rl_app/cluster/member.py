"""The side of every host but the first: it looks for the first one, says what it has, and hears what is to be done."""

from __future__ import annotations

import errno
import queue
import socket
import time
from contextlib import suppress
from typing import Optional

from rl_app.cluster.connection import SILENT_S, GoneError, Lines, Message, Watched
from rl_app.cluster.head import PORT, SETTING
from rl_app.cluster.proof import nonce, proof, proves
from rl_app.errors import JobError

AGAIN_S = 0.5
"""Between two tries to reach the first host."""
REACHED_S = 5.0
"""What a network that swallows all has for an answer, before it is tried again."""


class Membership:
    """A connection to the head of a job, which knows this host by now."""

    def __init__(self, head: str, lines: Lines) -> None:
        self.head, self._lines = head, lines
        self._messages: queue.Queue[Message] = queue.Queue()
        self._watched = Watched(lines, self._messages.put, lambda why: self._messages.put({"gone": why}))

    @property
    def address(self) -> str:
        """Return the address by which the head knows this host."""
        return self._lines.here

    def next(self, timeout: float) -> Optional[Message]:
        """Return what the head says next, or ``{"gone": why}``; None where it is nothing in ``timeout`` seconds."""
        with suppress(queue.Empty):
            return self._messages.get(timeout=timeout)
        return None

    def tell(self, message: Message) -> None:
        """Tell the head something; where it is gone :meth:`next` says so."""
        with suppress(GoneError):
            self._lines.send(message)

    def leave(self) -> None:
        """End the connection."""
        self._lines.hang_up()


def join(
    head: str,
    name: str,
    password: str,
    cpus: int,
    gpus: int,
    deadline_s: float,
    port: int = PORT,
    setting: str = SETTING,
) -> Membership:
    """Say hello to the head, whose name may not resolve yet and who may not listen yet.

    Args:
        head: the first host's name.
        name: this host's.
        setting: what is said of where the deadline comes from.

    Raises:
        JobError: the head is not there in time, or does not want this host.
    """
    deadline = time.monotonic() + deadline_s
    while True:
        try:
            return Membership(head, _greeted(head, name, password, cpus, gpus, port))
        except (OSError, GoneError) as error:
            why = str(getattr(error, "strerror", None) or error)
        if time.monotonic() >= deadline:
            raise JobError(f"{head} is not there after {deadline_s:g} s{setting}: {why}")
        time.sleep(AGAIN_S)


def _greeted(head: str, name: str, password: str, cpus: int, gpus: int, port: int) -> Lines:
    lines = Lines(_connected(head, name, port))
    try:
        challenge, own = str(lines.receive_whole(SILENT_S).get("nonce")), nonce()
        said = {"host": name, "cpus": cpus, "gpus": gpus, "nonce": own}
        lines.send({**said, "proof": proof(password, "member", challenge, name)})
        answer = lines.receive_whole(SILENT_S)
        if "refused" in answer:
            raise JobError(f"{head} refuses {name}: {answer['refused']}")
        if not proves(answer.get("proof"), password, "head", own):
            raise JobError(f"{head} does not know the password of this job")
    except BaseException:
        lines.close()
        raise
    return lines


def _connected(head: str, name: str, port: int) -> socket.socket:
    """Connect from the address that others know this host by, where that leads to the head."""
    target = (socket.gethostbyname(head), port)
    try:
        own = (socket.gethostbyname(name), 0)
        return socket.create_connection(target, REACHED_S, own)
    except OSError as error:
        if isinstance(error, socket.gaierror) or error.errno in (errno.EADDRNOTAVAIL, errno.EINVAL):
            return socket.create_connection(target, REACHED_S)
        raise
