"""HTTP/1.1 over httptools and asyncio, with what a server on an open port needs and the common ones lack.

Headers and bodies have a size and a time to arrive in, answers a time to be read in, connections a number; a stop
answers what is in flight. One request of a connection is handled at a time, in the order they came.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from dataclasses import dataclass
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import Any, Callable, Deque, Dict, List, NamedTuple, Optional, Set, Tuple, Union

import httptools
import orjson

# How often deadlines are looked at, and how long a refused client may go on sending before it is cut off: an
# answer would be lost if the connection were closed while bytes arrive.
TICK_S = 0.25
LINGER_S = 2.0
BACKLOG = 2048
# Of a Content-Length: more are more bytes than there are
MOST_DIGITS = 18

# What of a request is being read; when refused, nothing any more
IDLE, HEADERS, BODY, REFUSED = "idle", "headers", "body", "refused"


class Request(NamedTuple):
    """One request; the names of ``headers`` are in lower case, ``path`` is without the query."""

    method: str
    path: str
    headers: Dict[bytes, bytes]
    body: bytes
    keep_alive: bool


class Response(NamedTuple):
    """One answer; ``observations`` is how many the policy was asked about."""

    status: int
    body: bytes = b""
    content_type: str = "application/json"
    headers: Tuple[Tuple[str, str], ...] = ()
    observations: int = 0


class Exchange(NamedTuple):
    """What was asked and answered; ``request`` is None where none could be read; ``seconds`` from whole to answered."""

    client: str
    request: Optional[Request]
    response: Response
    seconds: float


@dataclass(frozen=True)
class Limits:
    """Bytes, seconds and connections that a client may take up."""

    header_bytes: int
    body_bytes: int
    header_seconds: float
    body_seconds: float
    idle_seconds: float
    connections: int


Reply = Callable[[Response], None]
Handler = Callable[[Request, Reply], None]
Observer = Callable[[Exchange], None]


def refusal(status: int, sentence: str, headers: Tuple[Tuple[str, str], ...] = ()) -> Response:
    """The answer to what is not served: one JSON object with one sentence."""
    return Response(status, orjson.dumps({"error": sentence}), headers=headers)


class Server:
    """Accepts connections and hands whole requests to ``handler``, which replies at once or later."""

    def __init__(self, handler: Handler, observer: Observer, limits: Limits) -> None:
        self.handler, self.observer, self.limits = handler, observer, limits
        self.connections: Set[Connection] = set()
        self.draining = False
        self.now = 0.0
        self.date = b""
        self._listener: Optional[asyncio.AbstractServer] = None
        self._emptied: Optional[asyncio.Event] = None

    async def start(self, host: str, port: int) -> int:
        """Listens; returns the port, which the system chooses where ``port`` is 0.

        Raises:
            OSError: the address is taken or not this machine's.
        """
        loop = asyncio.get_running_loop()
        self._emptied = asyncio.Event()
        self._tick(loop)
        self._listener = await loop.create_server(lambda: Connection(self, loop), host, port, backlog=BACKLOG)
        return int(self._listener.sockets[0].getsockname()[1])

    async def drain(self, seconds: float) -> None:
        """Refuses new connections, answers what is in flight, and cuts off what is left after ``seconds``."""
        assert self._listener is not None
        assert self._emptied is not None
        self.draining = True
        self._listener.close()
        for connection in list(self.connections):
            connection.close_if_idle()
        if self.connections:
            try:
                await asyncio.wait_for(self._emptied.wait(), seconds)
            except asyncio.TimeoutError:
                for connection in list(self.connections):
                    connection.abort()

    def lost(self, connection: Connection) -> None:
        self.connections.discard(connection)
        if self.draining and not self.connections and self._emptied is not None:
            self._emptied.set()

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        """Keeps the clocks that all connections share, and ends those whose deadline has passed."""
        self.now = loop.time()
        self.date = b"date: %b\r\n" % formatdate(time.time(), usegmt=True).encode()
        for connection in list(self.connections):
            if connection.deadline < self.now:
                connection.expire()
        loop.call_later(TICK_S, self._tick, loop)


class Connection(asyncio.Protocol):
    """One client; the ``on_…`` methods are what httptools calls while it parses."""

    def __init__(self, server: Server, loop: asyncio.AbstractEventLoop) -> None:
        self.deadline = math.inf
        self._server, self._loop = server, loop
        self._parser = httptools.HttpRequestParser(self)
        self._transport: Any = None
        self._client = ""
        self._waiting: Deque[Union[Request, Response]] = deque()
        self._current: Optional[Request] = None
        self._started = 0.0
        self._phase = IDLE
        self._timed_phase = IDLE  # the phase that the deadline is of
        self._header_size = 0
        self._clogged = False  # the client does not read its answer
        self._paused = False  # we do not read, for requests wait
        self._ended = False  # the client sends nothing more

    # ---- asyncio's side

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._client = str((transport.get_extra_info("peername") or ("",))[0])
        most = self._server.limits.connections
        full = len(self._server.connections) >= most
        self._server.connections.add(self)
        self._watch()
        if full:
            self._refuse(503, f"all {most} connections are taken")

    def data_received(self, data: bytes) -> None:
        if self._phase is REFUSED:
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # The request was HTTP/1.1 too and is answered as that; what follows is not read.
            self._phase = REFUSED
        except httptools.HttpParserError as error:
            self._refuse(400, f"this is no HTTP/1.1 request: {error}")
        if self._phase is HEADERS:
            self._header_size += len(data)
            if self._header_size > self._server.limits.header_bytes:
                self._refuse(431, f"the headers are larger than {self._server.limits.header_bytes} bytes")
        if self._phase is not self._timed_phase:
            self._watch()
        if self._waiting and not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        self._ended = True
        return self._phase is not REFUSED and (self._current is not None or bool(self._waiting))

    def connection_lost(self, error: Optional[Exception]) -> None:
        self.deadline = math.inf
        self._waiting.clear()
        self._server.lost(self)

    def pause_writing(self) -> None:
        self._clogged = True
        self.deadline = self._server.now + self._server.limits.body_seconds

    def resume_writing(self) -> None:
        self._clogged = False
        self._go_on()

    # ---- the parser's side

    def on_message_begin(self) -> None:
        if self._phase is not REFUSED:
            self._phase = HEADERS
        self._url = b""
        self._headers: Dict[bytes, bytes] = {}
        self._header_size = 0
        self._body: List[bytes] = []
        self._body_size = 0

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        if self._phase is REFUSED:
            return
        self._phase = BODY
        if b"expect" in self._headers and self._headers[b"expect"].lower() == b"100-continue" and not self._current:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        announced = self._headers.get(b"content-length", b"0")
        if len(announced) > MOST_DIGITS or int(announced) > self._server.limits.body_bytes:
            self._refuse_body()

    def on_body(self, part: bytes) -> None:
        self._body_size += len(part)
        if self._phase is REFUSED:
            return
        if self._body_size > self._server.limits.body_bytes:
            self._refuse_body()
        else:
            self._body.append(part)

    def on_message_complete(self) -> None:
        if self._phase is REFUSED:
            return
        self._phase = IDLE
        self._waiting.append(
            Request(
                self._parser.get_method().decode("latin-1"),
                _path(self._url),
                self._headers,
                self._body[0] if len(self._body) == 1 else b"".join(self._body),
                self._parser.should_keep_alive() and not self._parser.should_upgrade(),
            )
        )
        if self._current is None:
            self._next()

    # ---- one request after the other

    def _watch(self) -> None:
        """Sets the deadline of what is being read, unless it is our turn or the client's to read."""
        self._timed_phase = self._phase
        if self._current is None and not self._clogged and self._phase is not REFUSED:
            limits = self._server.limits
            seconds = limits.idle_seconds if self._phase is IDLE else limits.body_seconds
            self.deadline = self._server.now + (limits.header_seconds if self._phase is HEADERS else seconds)

    def _go_on(self) -> None:
        """Takes the next request that waits; where there is none, reads on."""
        if self._waiting:
            self._next()
            return
        if self._paused:
            self._paused = False
            self._transport.resume_reading()
        self._watch()

    def _next(self) -> None:
        if self._current is not None or self._clogged or not self._waiting or self._transport.is_closing():
            return
        first = self._waiting.popleft()
        if isinstance(first, Response):
            self._hang_up(first)
            return
        self._current = first
        self._started = time.perf_counter()
        self.deadline = math.inf
        self._server.handler(first, self._reply)

    def _reply(self, response: Response) -> None:
        request, self._current = self._current, None
        assert request is not None
        keep_alive = request.keep_alive and not self._server.draining
        self._send(response, keep_alive, with_body=request.method != "HEAD")
        self._server.observer(Exchange(self._client, request, response, time.perf_counter() - self._started))
        if self._transport.is_closing():
            return
        if not keep_alive or (self._ended and not self._waiting):
            self._transport.close()
        elif self._waiting:
            # Not at once: a thousand pipelined requests would be as many calls deep
            self._loop.call_soon(self._go_on)
        elif not self._clogged:
            self._go_on()

    def _send(self, response: Response, keep_alive: bool, with_body: bool = True) -> None:
        if self._transport.is_closing():
            return
        head = _head(response.status, response.content_type, response.headers, keep_alive)
        body = response.body
        self._transport.write(
            b"%b%bcontent-length: %d\r\n\r\n%b" % (head, self._server.date, len(body), body if with_body else b"")
        )

    # ---- the ways out

    def _refuse_body(self) -> None:
        self._refuse(413, f"the body is larger than the limit of {self._server.limits.body_bytes} bytes")

    def _refuse(self, status: int, sentence: str) -> None:
        """Reads nothing more; the refusal takes its turn after the requests that came before it."""
        self._phase = REFUSED
        self._waiting.append(refusal(status, sentence))
        self._next()

    def _hang_up(self, response: Response) -> None:
        """Answers, and lets the client read that before the connection ends."""
        self._send(response, keep_alive=False)
        self._server.observer(Exchange(self._client, None, response, 0.0))
        self.deadline = self._server.now + LINGER_S
        if not self._transport.is_closing():
            self._transport.write_eof()

    def expire(self) -> None:
        """The deadline has passed: says what did not come in time, or cuts off who does not listen."""
        limits, phase = self._server.limits, self._phase
        self.deadline = math.inf
        if self._clogged or phase is REFUSED:
            self.abort()
        elif phase is HEADERS:
            self._refuse(408, f"the headers did not arrive within {limits.header_seconds:g} s")
        elif phase is BODY:
            self._refuse(408, f"the body did not arrive within {limits.body_seconds:g} s")
        else:
            self._transport.close()

    def close_if_idle(self) -> None:
        if self._phase is IDLE and self._current is None and not self._waiting:
            self._transport.close()

    def abort(self) -> None:
        self._transport.abort()


def _path(url: bytes) -> str:
    """The path of a request target in origin or absolute form."""
    if not url.startswith(b"/"):
        try:
            url = httptools.parse_url(url).path or b"/"
        except httptools.HttpParserInvalidURLError:
            return url.decode("latin-1")
    return url.partition(b"?")[0].decode("latin-1")


@lru_cache(maxsize=256)
def _head(status: int, content_type: str, headers: Tuple[Tuple[str, str], ...], keep_alive: bool) -> bytes:
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", f"content-type: {content_type}"]
    lines += [f"{name}: {value}" for name, value in headers]
    lines += [] if keep_alive else ["connection: close"]
    return ("\r\n".join(lines) + "\r\n").encode("latin-1")
