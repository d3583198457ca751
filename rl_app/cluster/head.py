"""The first host's side: it waits for the others, tells them what to do, and knows who is gone."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Callable, Dict, List, Mapping, Optional, Sequence

from rl_app.cluster.connection import SILENT_S, GoneError, Lines, Message, Watched
from rl_app.cluster.proof import nonce, proof, proves
from rl_app.errors import JobError

PORT = 7771
"""Where the first host listens for the others."""
SETTING = ", which hosts_deadline sets"
"""What is said of the seconds in which the hosts of a job have to be there."""
LAST_WORD_S = 5.0
"""What the others have to take in how the job has ended."""


@dataclass(frozen=True)
class Member:
    """One of the other hosts, as it has said: its address, CPUs and GPUs."""

    address: str
    cpus: int
    gpus: int


class Head:
    """Listens for the other hosts of a job, from the start to :meth:`end`.

    Args:
        hosts: the names of all, the head's own among them.
        name: the head's own.
        on_lost: told of each host that is gone, and why, in another thread; not of one that :meth:`end` has told.
        on_stop: told that a host was asked to stop.
    """

    def __init__(
        self,
        hosts: Sequence[str],
        name: str,
        password: str,
        on_lost: Callable[[str, str], None] = lambda host, why: None,
        on_stop: Callable[[str], None] = lambda host: None,
        port: int = PORT,
    ) -> None:
        self._others = [host for host in hosts if host != name]
        self._name, self._password = name, password
        self._on_lost, self._on_stop = on_lost, on_stop
        self._members: Dict[str, Member] = {}
        self._connections: Dict[str, Watched] = {}
        self._lost: Dict[str, str] = {}
        self._said: Dict[str, str] = {}
        self._changed = threading.Condition()
        self._listening = _listen(name, port)
        self.address: str = self._listening.getsockname()[0]
        threading.Thread(target=self._accept, name="listen for hosts", daemon=True).start()

    @property
    def lost(self) -> Mapping[str, str]:
        """Return the hosts that are gone, the first first, and why."""
        with self._changed:
            return dict(self._lost)

    def wait(self, deadline_s: float, setting: str = SETTING) -> Dict[str, Member]:
        """Return the other hosts once all of them are there, in the order of the job's hosts.

        ``setting`` is what is said of where the deadline comes from.

        Raises:
            JobError: some are not there in time, or one is gone already.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._lost or not self._missing(), deadline_s)
            for host, why in self._lost.items():
                raise JobError(lost_line(host, why))
            missing = self._missing()
            if missing:
                raise JobError(f"not there after {deadline_s:g} s{setting}: {', '.join(missing)}")
            self.address = next((each.lines.here for each in self._connections.values()), self.address)
            return {host: self._members[host] for host in self._others}

    def tell(self, message: Message) -> None:
        """Tell all the others something; one that is gone is told of elsewhere."""
        with self._changed:
            connections = list(self._connections.values())
        for each in connections:
            with suppress(GoneError):
                each.lines.send(message)

    def word(self, within_s: float) -> Optional[str]:
        """Return what ended the job elsewhere: a host's last word, else that it is gone; None for neither in time."""
        with self._changed:
            self._changed.wait_for(lambda: self._said or self._lost, within_s)
            return next(iter(self._said.values()), None) or next(
                (lost_line(host, why) for host, why in self._lost.items()), None
            )

    def end(self, status: int, reason: str) -> None:
        """Tell the others how the job has ended, and wait until they know; nothing the second time."""
        with self._changed:
            connections, self._connections = self._connections, {}
            self._others = []
        self._listening.close()
        for each in connections.values():
            each.finish({"end": [status, reason]})
        deadline = time.monotonic() + LAST_WORD_S
        for each in connections.values():
            each.wait(deadline - time.monotonic())

    def _missing(self) -> List[str]:
        return [host for host in self._others if host not in self._members]

    def _accept(self) -> None:
        while True:
            try:
                connected, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._greet, args=(Lines(connected),), daemon=True).start()

    def _greet(self, lines: Lines) -> None:
        """Take one who proves to be a host of this job among the members; anybody else is not answered."""
        challenge = nonce()
        try:
            lines.send({"nonce": challenge})
            hello = lines.receive_whole(SILENT_S)
            host = str(hello.get("host"))
            if not proves(hello.get("proof"), self._password, "member", challenge, host):
                lines.send({"refused": "the password is another one"})
                lines.close()
                return
            member = Member(lines.there, int(hello["cpus"]), int(hello["gpus"]))
            answer = {"proof": proof(self._password, "head", str(hello.get("nonce")))}
        except (GoneError, KeyError, TypeError, ValueError):
            lines.close()
            return
        self._add(host, member, lines, answer)

    def _add(self, host: str, member: Member, lines: Lines, answer: Message) -> None:
        with self._changed:
            known = "has been here before" if host in self._members else "is no host of this job"
            is_expected = host in self._others and host not in self._members
            with suppress(GoneError):
                lines.send(answer if is_expected else {"refused": f"{host} {known}"})
            if not is_expected:
                lines.close()
                return
            self._members[host] = member
            self._connections[host] = Watched(
                lines, lambda message: self._take(host, message), lambda why: self._gone(host, why)
            )
            self._changed.notify_all()

    def _take(self, host: str, message: Message) -> None:
        if "stop" in message:
            self._on_stop(host)
        if "failed" in message:
            raise GoneError(str(message["failed"]))
        if "said" in message:
            with self._changed:
                self._said[host] = str(message["said"])
                self._changed.notify_all()

    def _gone(self, host: str, why: str) -> None:
        with self._changed:
            connection = self._connections.pop(host, None)
            if connection is None:  # it was told of the end
                return
            self._lost[host] = why
            self._changed.notify_all()
        connection.finish({"end": [JobError.errno, lost_line(host, why)]})  # which one that was paused reads later
        self._on_lost(host, why)


def lost_line(host: str, why: str) -> str:
    """Say that a host is gone."""
    return f"host lost: {host}: {why}"


def _listen(name: str, port: int) -> socket.socket:
    """Listen on the address that the other hosts know by the name; on all where it is none of this host's yet."""
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((socket.gethostbyname(name), port))
    except OSError:
        listening.bind(("", port))
    listening.listen(128)
    return listening
