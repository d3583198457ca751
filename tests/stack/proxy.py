"""A proxy in front of a server, on loopback, that can lose what the server answers, refuse, pause and be slow."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import contextmanager, suppress
from typing import Iterator, Optional
from urllib.parse import urlsplit


class Proxy:
    """Passes bytes on, both ways.

    Attributes:
        url: what to ask in the server's place.
        losing: the answers that are lost still; the connection is closed in the place of each.
        passing: bytes of an answer after which it is lost.
        refusing: whether connections are closed, those that are open too.
        delay_s: how long each part is held up, either way.
        flowing: nothing is passed on while this is not set.
    """

    def __init__(self, server: str) -> None:
        self._server = urlsplit(server)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self.losing = 0
        self.passing = 0
        self.refusing = False
        self.delay_s = 0.0
        self.flowing = threading.Event()
        self.flowing.set()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listening.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                try:
                    server = self._reach()
                except OSError:
                    close(client)
                    continue
                for target in (self._ask, self._answer):
                    threading.Thread(target=target, args=(client, server), daemon=True).start()

    def _reach(self) -> socket.socket:
        if self.refusing:
            raise ConnectionRefusedError
        return socket.create_connection((self._server.hostname or "", self._server.port or 80))

    def _held(self) -> bool:
        """Holds up a part for as long as it is to be; tells whether it is passed on then."""
        time.sleep(self.delay_s)
        self.flowing.wait()
        return not self.refusing

    def _ask(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while True:
                asked = client.recv(1 << 16)
                if not asked or not self._held():
                    break
                server.sendall(asked)
        close(server)

    def _answer(self, client: socket.socket, server: socket.socket) -> None:
        left: Optional[int] = None
        with suppress(OSError):
            while True:
                answer = server.recv(1 << 16)
                answer = answer if self._held() else b""
                if self.losing and left is None:
                    left = self.passing
                if not answer or (left is not None and left < len(answer)):
                    self.losing -= left is not None
                    break
                left = None if left is None else left - len(answer)
                client.sendall(answer)
        close(client)
        close(server)


def close(connection: socket.socket) -> None:
    """Ends it for its other side too, and for whoever reads from it here."""
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()


@contextmanager
def proxied(server: str) -> Iterator[Proxy]:
    proxy = Proxy(server)
    try:
        yield proxy
    finally:
        proxy.close()
