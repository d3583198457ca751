"""One connection between two hosts: JSON lines both ways, and a heartbeat that tells who lives from who is silent."""

from __future__ import annotations

import json
import select
import socket
import threading
import time
from contextlib import suppress
from typing import Any, Callable, Dict, Optional

BEAT_S = 1.0
SILENT_S = 10.0
LONGEST_LINE = 1 << 20

Message = Dict[str, Any]


class GoneError(Exception):
    """The other side is gone; the text says how that was seen."""


class Lines:
    """Messages over a socket: one thread receives, any may send."""

    def __init__(self, connected: socket.socket) -> None:
        connected.settimeout(SILENT_S)  # of a send to one who does not read
        self._socket = connected
        self._received = b""
        self._sending = threading.Lock()

    @property
    def here(self) -> str:
        """Return the address of this side."""
        return str(self._socket.getsockname()[0])

    @property
    def there(self) -> str:
        """Return the address of the other side."""
        return str(self._socket.getpeername()[0])

    def send(self, message: Message) -> None:
        """Send one message; raises GoneError."""
        try:
            with self._sending:
                self._socket.sendall(json.dumps(message).encode() + b"\n")
        except OSError as error:
            raise GoneError(_why(error)) from None

    def receive(self, timeout: float) -> Optional[Message]:
        """Return the next message, None where there is none in ``timeout`` seconds; raises GoneError."""
        if b"\n" not in self._received and select.select([self._socket], [], [], timeout)[0]:
            self._read()
        line, newline, rest = self._received.partition(b"\n")
        if not newline:
            return None
        self._received = rest
        with suppress(ValueError):
            message = json.loads(line.decode())
            if isinstance(message, dict):
                return message
        raise GoneError("what it sends is no message")

    def receive_whole(self, timeout: float) -> Message:
        """Return the next message; raises GoneError where there is none in ``timeout`` seconds."""
        deadline = time.monotonic() + timeout
        while True:
            message = self.receive(max(deadline - time.monotonic(), 0))
            if message is not None:
                return message
            if time.monotonic() >= deadline:
                raise GoneError(f"silent for {timeout:.0f} s")

    def _read(self) -> None:
        try:
            data = self._socket.recv(LONGEST_LINE)
        except OSError as error:
            raise GoneError(_why(error)) from None
        if not data or len(self._received) > LONGEST_LINE:
            raise GoneError("its connection was closed")
        self._received += data

    def finish(self) -> None:
        """Say that nothing more is sent."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    def hang_up(self) -> None:
        """End the connection; the thread that receives finds it ended, and closes it."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End the connection, for other processes that have it too, and close it."""
        self.hang_up()
        self._socket.close()


def _why(error: OSError) -> str:
    return f"its connection broke: {error.strerror or error}"


class Watched:
    """Passes on what the other side says, in a thread, and tells of its end: closed, or silent for ten seconds.

    What lies in the socket is read before anybody is called silent: after a pause of this process the others, who
    have gone on, are heard first.
    """

    def __init__(self, lines: Lines, take: Callable[[Message], None], gone: Callable[[str], None]) -> None:
        self.lines, self._take, self._gone = lines, take, gone
        self._is_finished = False
        self._thread = threading.Thread(target=self._run, name="watch a host", daemon=True)
        self._thread.start()

    def finish(self, message: Message) -> None:
        """Send the last message. What the other side still says is read up to its end: else it might miss this."""
        self._is_finished = True
        with suppress(GoneError):
            self.lines.send(message)
        self.lines.finish()

    def wait(self, timeout: float) -> None:
        """Wait for the end of the connection, at most ``timeout`` seconds."""
        self._thread.join(max(timeout, 0))

    def _run(self) -> None:
        try:
            self._watch()
        except GoneError as gone:
            self._gone(str(gone))
        self.lines.close()

    def _watch(self) -> None:
        heard = beaten = time.monotonic()
        while True:
            message = self.lines.receive(BEAT_S)
            if message is None and time.monotonic() - heard >= SILENT_S:
                message = self.lines.receive(0)
                if message is None:
                    raise GoneError(f"silent for {SILENT_S:.0f} s")
            if message is not None:
                heard = time.monotonic()
            if message:
                self._take(message)
            if time.monotonic() - beaten >= BEAT_S and not self._is_finished:
                beaten = time.monotonic()
                self.lines.send({})
