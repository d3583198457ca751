"""The HTTP server: uvicorn, which here also closes slow clients and drains on SIGTERM without dropping anybody."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from contextlib import contextmanager
from functools import partial
from typing import Any, Callable, Iterator, Optional, Sized

import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import HANDLED_SIGNALS, ServerState

from rl_app.machine import unless_ignored
from rl_app.serving.access_log import AccessLog
from rl_app.serving.app import App
from rl_app.serving.limits import Timeouts
from rl_app.serving.metrics import Metrics
from rl_app.serving.refusal import Refusal, error_body

BACKLOG = 2048
LONGEST_HEAD = 64 * 1024
"""Bytes of a request's line and headers; httptools has no limit of its own."""
LAST_LOOK_S = 0.75
"""How long an idle connection stays open while draining: its next request may be on its way."""
MOST_DROPPED = 256 << 20
"""Bytes that are read of a body that is not wanted: an ordinary client looks for its answer once it has sent all."""
OF_NO_BODY = 4 << 20
"""How many of these where it is no body."""
HALF_SENT_S = 5.0
"""How long the rest of a request is waited for while draining."""
OF_DRAIN = 0.8
"""The part of the time to drain in after which it is not waited for at all."""

MakeApp = Callable[[Sized], App]


class HalfRead:
    """The transport as the answer to a request sees it whose body is still being sent.

    Closed with unread bytes, the system would reset the connection, and the client never see its answer.
    """

    def __init__(self, connection: Connection) -> None:
        self.write = connection.transport.write
        self.is_closing = connection.transport.is_closing
        self.close = connection.drop_the_rest


class Connection(HttpToolsProtocol):
    """A connection of uvicorn's with a time for each request to be sent in, and for its answer to be taken."""

    def __init__(self, *arguments: Any, log: AccessLog, metrics: Metrics, timeouts: Timeouts, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._log = log
        self._metrics = metrics
        self._timeouts = timeouts
        self._timer: Optional[asyncio.TimerHandle] = None
        self._writing: Optional[asyncio.TimerHandle] = None
        self._request_under_way = False
        self._head_under_way = False
        self._head_bytes = 0
        self._draining = False
        self._dropping = False
        self._dropped = 0

    # ---- what comes in

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._await_request()

    def data_received(self, data: bytes) -> None:
        if self._dropping:
            self._drop(data)
            return
        super().data_received(data)
        if self._dropping or not self._request_under_way or self.transport.is_closing():
            return
        if self._timer is None:
            self._await_request()
        if self._head_under_way:
            self._head_bytes += len(data)
            if self._head_bytes > LONGEST_HEAD:
                self._refuse(Refusal(431, f"the request's headers are longer than {LONGEST_HEAD} bytes"))
        elif self.cycle.response_complete:
            self._drop(data)
        else:
            self.cycle.transport = HalfRead(self)  # type: ignore[assignment]

    def on_message_begin(self) -> None:
        self._request_under_way = self._head_under_way = True
        self._head_bytes = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._head_under_way = False
        super().on_headers_complete()
        if self._draining:
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        self._request_under_way = False
        self._dropped = 0
        self._forget_request()
        self.cycle.transport = self.transport
        super().on_message_complete()

    def drop_the_rest(self) -> None:
        """Close once the client has seen its answer: it may look for it when it has sent all."""
        self._dropping = True
        self.pipeline.clear()
        if self.cycle is not None and not self.cycle.response_complete:  # whose answer would come after the end
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        try:
            self.transport.write_eof()
        except (RuntimeError, OSError):  # the client has gone meanwhile
            self.transport.close()
            return
        self.flow.resume_reading()
        if self._timer is None:
            self._await_request()

    def _drop(self, data: bytes) -> None:
        self._dropped += len(data)
        if self._dropped > MOST_DROPPED:
            self.transport.close()

    def send_400_response(self, msg: str) -> None:
        self._refuse(Refusal(400, "malformed HTTP request"))

    # ---- time

    def _await_request(self) -> None:
        self._timer = self.loop.call_later(self._timeouts.client_s, self._too_slow)

    def _await_the_rest(self) -> None:
        """Give a request that is half sent less time, for the server ends."""
        self._forget_request()
        seconds = min(HALF_SENT_S, OF_DRAIN * self._timeouts.drain_s)
        what = f"no whole {self._what} in {seconds:g} s, and the server ends"
        self._timer = self.loop.call_later(seconds, self._too_slow, what)

    def _forget_request(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    @property
    def _what(self) -> str:
        return "headers" if self._head_under_way else "body" if self._request_under_way else "request"

    def _too_slow(self, text: str = "") -> None:
        self._timer = None
        text = text or f"no whole {self._what} in {self._timeouts.client_s:g} s"
        self._note(text)
        if not self._dropping:
            self._answer(Refusal(408, text))
        self.transport.close()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._writing = self.loop.call_later(self._timeouts.client_s, self._not_taken)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._writing is not None:
            self._writing.cancel()
            self._writing = None

    def _not_taken(self) -> None:
        self._note(f"the answer was not taken in {self._timeouts.client_s:g} s")
        self.transport.abort()

    def _note(self, why: str) -> None:
        host, port = self.client or ("", 0)
        self._metrics.slow_client()
        self._log.closed(f"{host}:{port}", why)

    # ---- the end

    def _refuse(self, refusal: Refusal) -> None:
        """Answer what is not read to its end, and close."""
        if not self.transport.is_closing():
            self._answer(refusal)
            self._dropped = MOST_DROPPED - OF_NO_BODY
            self.drop_the_rest()

    def _answer(self, refusal: Refusal) -> None:
        """Answer what never reached the application, or has not been answered yet."""
        cycle = self.cycle
        if cycle is None or not cycle.response_started or (cycle.response_complete and self._head_under_way):
            body = error_body(refusal)
            head = b"content-type: application/json\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(body)
            self.transport.write(STATUS_LINE[refusal.status] + head + body)

    def connection_lost(self, exc: Optional[Exception]) -> None:
        self._forget_request()
        if self._writing is not None:
            self._writing.cancel()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """Answer what is under way and close; where nothing is, look once more before."""
        self._draining = True
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.keep_alive = False
        if self._request_under_way:
            self._await_the_rest()
        elif self.cycle is None or self.cycle.response_complete:
            self.loop.call_later(LAST_LOOK_S, self._close_if_idle)

    def _close_if_idle(self) -> None:
        if (self.cycle is None or self.cycle.response_complete) and not self._request_under_way:
            self.transport.close()


class Server(uvicorn.Server):
    """uvicorn's server, whose process ends by itself after SIGTERM and not by the signal.

    Args:
        make_app: is given the requests that are under way.
    """

    def __init__(self, make_app: MakeApp, connection: Callable[..., Connection], timeouts: Timeouts) -> None:
        state = ServerState()
        self._app = make_app(state.tasks)
        super().__init__(configuration(self._app, connection, timeouts))
        self.server_state = state

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (*HANDLED_SIGNALS, *unless_ignored(signal.SIGHUP)):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        yield

    async def shutdown(self, sockets: Any = None) -> None:
        self._app.drain()
        await super().shutdown(sockets)


def configuration(app: App, connection: Callable[..., Connection], timeouts: Timeouts) -> uvicorn.Config:
    """Make uvicorn's settings."""
    return uvicorn.Config(
        app,
        loop="uvloop",
        http=connection,  # type: ignore[arg-type]
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=timeouts.idle_s,  # type: ignore[arg-type]
        timeout_graceful_shutdown=timeouts.drain_s,  # type: ignore[arg-type]
    )


def run(make_app: MakeApp, listening: socket.socket, log: AccessLog, metrics: Metrics, timeouts: Timeouts) -> None:
    """Serve until SIGTERM or SIGINT, then drain; return when that is done."""
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    connection = partial(Connection, log=log, metrics=metrics, timeouts=timeouts)
    Server(make_app, connection, timeouts).run(sockets=[listening])
