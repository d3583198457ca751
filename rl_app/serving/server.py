"""The HTTP server: uvicorn, which here also closes slow clients and drains on SIGTERM without dropping anybody."""

from __future__ import annotations

import asyncio
import logging
import socket
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Callable, Iterator, Optional, Sized

import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import HANDLED_SIGNALS, ServerState

from rl_app.serving.app import App
from rl_app.serving.journal import Journal
from rl_app.serving.messages import refused
from rl_app.serving.refusal import Refusal

BACKLOG = 2048
LONGEST_HEAD = 64 * 1024
"""Bytes of a request's line and headers; httptools has no limit of its own."""
LAST_LOOK_S = 0.25
"""How long an idle connection stays open while draining: its next request may be on its way."""


@dataclass(frozen=True)
class Patience:
    """Seconds: for a client to send a whole request or to take its answer, between requests, and to drain in."""

    client_s: float
    idle_s: float
    drain_s: float


class Connection(HttpToolsProtocol):
    """A connection of uvicorn's with a time for each request to be sent in, and for its answer to be taken."""

    def __init__(self, *arguments: Any, journal: Journal, patience: Patience, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._journal = journal
        self._patience = patience
        self._timer: Optional[asyncio.TimerHandle] = None
        self._writing: Optional[asyncio.TimerHandle] = None
        self._request_under_way = False
        self._head_under_way = False
        self._head_bytes = 0
        self._draining = False

    # ---- what comes in

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._await_request()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self._request_under_way or self.transport.is_closing():
            return
        if self._timer is None:
            self._await_request()
        if self._head_under_way:
            self._head_bytes += len(data)
            if self._head_bytes > LONGEST_HEAD:
                self._refuse(Refusal(431, f"the request's headers are longer than {LONGEST_HEAD} bytes"))

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
        self._forget_request()
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        self._refuse(Refusal(400, "malformed HTTP request"))

    # ---- time

    def _await_request(self) -> None:
        self._timer = self.loop.call_later(self._patience.client_s, self._too_slow)

    def _forget_request(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_slow(self) -> None:
        self._timer = None
        what = "headers" if self._head_under_way else "body" if self._request_under_way else "request"
        text = f"no whole {what} in {self._patience.client_s:g} s"
        self._note(text)
        self._refuse(Refusal(408, text))

    def pause_writing(self) -> None:
        super().pause_writing()
        self._writing = self.loop.call_later(self._patience.client_s, self._not_taken)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._writing is not None:
            self._writing.cancel()
            self._writing = None

    def _not_taken(self) -> None:
        self._note(f"the answer was not taken in {self._patience.client_s:g} s")
        self.transport.abort()

    def _note(self, why: str) -> None:
        host, port = self.client or ("", 0)
        if self._journal.slow(f"{host}:{port}", why):
            self.loop.call_soon(self._journal.flush)

    # ---- the end

    def _refuse(self, refusal: Refusal) -> None:
        """Answers what never reached the application, or has not been answered yet, and closes."""
        if self.transport.is_closing():
            return
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            body = refused(refusal)
            head = b"content-type: application/json\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(body)
            self.transport.write(STATUS_LINE[refusal.status] + head + body)
        self.transport.close()

    def connection_lost(self, exc: Optional[Exception]) -> None:
        self._forget_request()
        if self._writing is not None:
            self._writing.cancel()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """Answers what is under way and closes; where nothing is, looks once more before it does."""
        self._draining = True
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.keep_alive = False
        elif not self._request_under_way:
            self.loop.call_later(LAST_LOOK_S, self._close_if_idle)

    def _close_if_idle(self) -> None:
        if (self.cycle is None or self.cycle.response_complete) and not self._request_under_way:
            self.transport.close()


class Server(uvicorn.Server):
    """uvicorn's server, whose process ends by itself after SIGTERM and not by the signal.

    Args:
        make_app: is given the requests that are under way.
    """

    def __init__(self, make_app: Callable[[Sized], App], journal: Journal, patience: Patience) -> None:
        state = ServerState()
        self._app = make_app(state.tasks)
        super().__init__(configuration(self._app, journal, patience))
        self.server_state = state

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in HANDLED_SIGNALS:
            loop.add_signal_handler(number, self.handle_exit, number, None)
        yield

    async def shutdown(self, sockets: Any = None) -> None:
        self._app.drain()
        await super().shutdown(sockets)


def configuration(app: App, journal: Journal, patience: Patience) -> uvicorn.Config:
    """uvicorn's settings."""
    return uvicorn.Config(
        app,
        loop="uvloop",
        http=partial(Connection, journal=journal, patience=patience),  # type: ignore[arg-type]
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=patience.idle_s,  # type: ignore[arg-type]
        timeout_graceful_shutdown=patience.drain_s,  # type: ignore[arg-type]
    )


def run(make_app: Callable[[Sized], App], listening: socket.socket, journal: Journal, patience: Patience) -> None:
    """Serves until SIGTERM or SIGINT, then drains; returns when that is done."""
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    Server(make_app, journal, patience).run(sockets=[listening])
