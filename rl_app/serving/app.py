"""The application: routes, and around all of them the log, the metrics and the one place that answers errors."""

from __future__ import annotations

import asyncio
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Awaitable, Callable, Dict, List, Mapping, NamedTuple, Optional, Tuple

import orjson

from rl_app.errors import UserError
from rl_app.policy.loading import Outputs
from rl_app.policy.policy import Policy
from rl_app.policy.soundness import check_actions
from rl_app.serving import openapi, page
from rl_app.serving.access_log import ABANDONED, AccessLog, trouble
from rl_app.serving.batching import Batcher
from rl_app.serving.limits import BodyLimit
from rl_app.serving.media_types.json import JSON, load
from rl_app.serving.metrics import CONTENT_TYPE, OTHER, PATHS, Metrics
from rl_app.serving.negotiation import Media, negotiate
from rl_app.serving.queries import Reader
from rl_app.serving.refusal import Refusal, error_body
from rl_app.serving.slices import give_back_memory

LARGE_BODY = 128 << 10
"""Bytes from which a request is worked on in a thread, so that /ping is answered meanwhile."""
HUGE_BODY = 2 << 20
"""Bytes from which one is worked on after the other, for each takes many times as much memory."""

Scope = Dict[str, Any]
Receive = Callable[[], Awaitable[Dict[str, Any]]]
Send = Callable[[Dict[str, Any]], Awaitable[None]]
Headers = List[Tuple[bytes, bytes]]


class Answer(NamedTuple):
    """A whole response."""

    status: int
    media: str
    body: bytes
    headers: Headers = []  # noqa: RUF012  # never changed


class Request(NamedTuple):
    """What a route is given."""

    headers: Mapping[bytes, bytes]
    body: bytes


class GoneError(Exception):
    """The client went away before its request was whole."""


class App:
    """Answers for one policy, as ASGI 3 has it.

    Attributes:
        routes: what is answered: method and coroutine by path.
    """

    def __init__(
        self,
        policy: Policy,
        reader: Reader,
        batcher: Batcher,
        log: AccessLog,
        metrics: Metrics,
        limit: BodyLimit,
    ) -> None:
        self._policy = policy
        self._batcher = batcher
        self._log = log
        self._metrics = metrics
        self._limit = limit
        self._reader = reader
        self._draining = False
        self._one_by_one = ThreadPoolExecutor(1, "huge-body")
        self._document = self.document()
        self.routes: Dict[str, Tuple[str, Callable[[Request], Awaitable[Answer]]]] = {
            "/invocations": ("POST", self.invocations),
            "/ping": ("GET", self.ping),
            "/metrics": ("GET", self.metrics),
            "/openapi.json": ("GET", self.openapi),
            "/execution-parameters": ("GET", self.execution_parameters),
            "/": ("GET", self.page),
        }

    def document(self) -> Mapping[str, Any]:
        """Describe this API."""
        return openapi.document(self._policy)

    def drain(self) -> None:
        """Have every answer from here on tell its client to close the connection."""
        self._draining = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take one request: read, answered, logged and counted, whatever becomes of it."""
        began = time.perf_counter()
        path, method = scope["path"], scope["method"]
        received = 0
        try:
            headers = dict(scope["headers"])
            route = self.route(method, path)
            body = await read(headers, receive, self._limit)
            received = len(body)
            answer = await route(Request(headers, body))
        except Refusal as refusal:
            answer = refusal_answer(refusal, self.routes.get(path))
        except GoneError:
            self._note(method, path, ABANDONED, began, received)
            return
        except asyncio.CancelledError:
            trouble(f"{method} {path[:64]}: not answered in the time to drain in")
            answer = refusal_answer(Refusal(503, "the server ends"), None)
        except Exception:
            trouble(traceback.format_exc())
            answer = Answer(500, JSON.name, error_body(None))
        await self._send(answer, send)
        self._note(method, path, answer.status, began, received)

    def route(self, method: str, path: str) -> Callable[[Request], Awaitable[Answer]]:
        """Find what answers; raises Refusal, 404 or 405."""
        found = self.routes.get(path)
        if found is None:
            raise Refusal(404, f"{path[:64]}: there is no such path; there are {', '.join(self.routes)}")
        allowed, route = found
        if method != allowed and (method, allowed) != ("HEAD", "GET"):
            raise Refusal(405, f"{method}: the method is not allowed here; {path} takes {allowed}")
        return route

    # ---- the routes

    async def invocations(self, request: Request) -> Answer:
        """Ask the policy."""
        media = negotiate(request.headers)
        if len(request.body) >= LARGE_BODY:
            workers = self._one_by_one if len(request.body) >= HUGE_BODY else None
            return await asyncio.get_running_loop().run_in_executor(workers, self._at_once, media, request.body)
        if media.request is JSON and media.answer is JSON:
            given = load(request.body, "body")
            vector = self._reader.vector(given)
            if vector is not None:
                return Answer(200, JSON.name, await self._batcher.ask_vector(vector))
            query = self._reader.query(given)
        else:
            query = media.request.decode(self._reader, request.body)
        outputs = await self._batcher.ask(query)
        return Answer(200, media.answer.name, media.answer.body(outputs, query.by_row))

    def _at_once(self, media: Media, body: bytes) -> Answer:
        try:
            return self._answer(media, body)
        finally:
            if len(body) >= HUGE_BODY:
                give_back_memory()

    def _answer(self, media: Media, body: bytes) -> Answer:
        query = media.request.decode(self._reader, body)
        (outputs,) = self._batcher.answer([query])
        return Answer(200, media.answer.name, media.answer.body(outputs, query.by_row))

    async def ping(self, _: Request) -> Answer:
        """Answer 200 where the policy answers: it is asked."""
        warm(self._policy)
        return Answer(200, "text/plain", b"")

    async def metrics(self, _: Request) -> Answer:
        """Answer Prometheus."""
        return Answer(200, CONTENT_TYPE, self._metrics.text())

    async def openapi(self, _: Request) -> Answer:
        """Answer with the document of this API, for this policy."""
        return Answer(200, JSON.name, orjson.dumps(self._document))

    async def execution_parameters(self, _: Request) -> Answer:
        """Answer what a batch transform asks before it begins."""
        limit = self._limit.size or 0
        asked = {"MaxConcurrentTransforms": 1, "BatchStrategy": "MULTI_RECORD", "MaxPayloadInMB": limit >> 20}
        return Answer(200, JSON.name, orjson.dumps(asked))

    async def page(self, _: Request) -> Answer:
        """Answer a person."""
        html, security = page.render(self._policy)
        return Answer(200, "text/html; charset=utf-8", html, [(b"content-security-policy", security.encode())])

    # ---- around them

    async def _send(self, answer: Answer, send: Send) -> None:
        headers = [
            (b"content-type", answer.media.encode()),
            (b"content-length", b"%d" % len(answer.body)),
            *answer.headers,
        ]
        if self._draining:
            headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body})

    def _note(self, method: str, path: str, status: int, began: float, received: int) -> None:
        known = path if path in PATHS else OTHER
        seconds = time.perf_counter() - began
        self._metrics.request(known, status, seconds)
        self._log.request(method, path, status, seconds, received)


async def read(headers: Mapping[bytes, bytes], receive: Receive, limit: BodyLimit) -> bytes:
    """Read the whole body; raises Refusal, 413, as soon as it is or says that it is too large, and GoneError."""
    limit.check(int(headers.get(b"content-length", b"0")))
    message = await receive()
    if message["type"] == "http.request" and not message["more_body"]:
        body: bytes = message["body"]
        limit.check(len(body))
        return body
    pieces, size = [], 0
    while True:
        if message["type"] == "http.disconnect":
            raise GoneError
        pieces.append(message["body"])
        size += len(message["body"])
        limit.check(size)
        if not message["more_body"]:
            return b"".join(pieces)
        message = await receive()


def refusal_answer(refusal: Refusal, route: Optional[Tuple[str, Any]]) -> Answer:
    """Write one JSON sentence, and for 405 the method that is allowed."""
    headers: Headers = []
    if refusal.status == 405 and route is not None:
        headers = [(b"allow", b"GET, HEAD" if route[0] == "GET" else b"POST")]
    return Answer(refusal.status, JSON.name, error_body(refusal), headers)


def warm(policy: Policy) -> Outputs:
    """Ask the policy once, about observations of zeros, ones and their like.

    Raises:
        JobError: it has an action that is no finite number.
    """
    import numpy as np

    size = policy.observation_size
    some = np.concatenate([np.zeros((1, size)), np.ones((1, size)), np.random.default_rng(0).normal(size=(6, size))])
    outputs = policy.act(some.astype(policy.dtype))
    if "actions_0" not in outputs:
        raise UserError("policy.onnx: has no output actions_0")
    check_actions(outputs)
    return policy.bounded(outputs)
