"""The application: routes, and around all of them the log, the metrics and the one place that answers errors."""

from __future__ import annotations

import asyncio
import time
import traceback
from dataclasses import dataclass
from typing import Any, Awaitable, Callable, Dict, List, Mapping, NamedTuple, Optional, Tuple

import orjson

from rl_app.errors import UserError
from rl_app.policies import Outputs, Policy
from rl_app.serving import journal as journals
from rl_app.serving import openapi, page
from rl_app.serving.batching import Answers
from rl_app.serving.journal import Journal
from rl_app.serving.messages import DECODERS, JSON, Media, Question, Reader, answered, load, negotiate, refused
from rl_app.serving.refusal import Refusal

LARGE_BODY = 128 << 10
"""Bytes from which a request is worked on in a thread, so that /ping is answered meanwhile."""

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


@dataclass(frozen=True)
class Limits:
    """``body``: the largest request in bytes; None for any. ``setting``: the variable that says so."""

    body: Optional[int]
    setting: str


class App:
    """Answers for one policy, as ASGI 3 has it.

    Attributes:
        routes: what is answered: method and coroutine by path.
    """

    def __init__(self, policy: Policy, reader: Reader, answers: Answers, journal: Journal, limits: Limits) -> None:
        self._policy = policy
        self._answers = answers
        self._journal = journal
        self._limits = limits
        self._reader = reader
        self._draining = False
        self._document = openapi.document(policy)
        self.routes: Dict[str, Tuple[str, Callable[[Request], Awaitable[Answer]]]] = {
            "/invocations": ("POST", self.invocations),
            "/ping": ("GET", self.ping),
            "/metrics": ("GET", self.metrics),
            "/openapi.json": ("GET", self.openapi),
            "/execution-parameters": ("GET", self.execution_parameters),
            "/": ("GET", self.page),
        }

    def drain(self) -> None:
        """From here on every answer tells its client to close the connection."""
        self._draining = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request: read, answered, logged and counted, whatever becomes of it."""
        began = time.perf_counter()
        path, method = scope["path"], scope["method"]
        received = 0
        try:
            headers = dict(scope["headers"])
            route = self.route(method, path)
            body = await read(headers, receive, self._limits)
            received = len(body)
            answer = await route(Request(headers, body))
        except Refusal as refusal:
            answer = refusal_answer(refusal, self.routes.get(path))
        except GoneError:
            self._note(method, path, journals.ABANDONED, began, received)
            return
        except Exception:
            journals.trouble(traceback.format_exc())
            answer = Answer(500, JSON, refused(None))
        await self._send(answer, send)
        self._note(method, path, answer.status, began, received)

    def route(self, method: str, path: str) -> Callable[[Request], Awaitable[Answer]]:
        """What answers; raises Refusal, 404 or 405."""
        found = self.routes.get(path)
        if found is None:
            raise Refusal(404, f"{path[:64]}: there is no such path; there are {', '.join(self.routes)}")
        allowed, route = found
        if method != allowed and (method, allowed) != ("HEAD", "GET"):
            raise Refusal(405, f"{method}: the method is not allowed here; {path} takes {allowed}")
        return route

    # ---- the routes

    async def invocations(self, request: Request) -> Answer:
        """Asks the policy."""
        media = media_of(request.headers)
        if len(request.body) >= LARGE_BODY:
            return await asyncio.get_running_loop().run_in_executor(None, self._at_once, media, request.body)
        if media == (JSON, JSON):
            given = load(request.body, "body")
            vector = self._reader.vector(given)
            if vector is not None:
                return Answer(200, JSON, await self._answers.ask_vector(vector))
            question = self._reader.question(given)
        else:
            question = DECODERS[media.request](self._reader, request.body)
        outputs = await self._answers.ask(question)
        return Answer(200, media.answer, answered(outputs, media.answer, question.by_row))

    def _at_once(self, media: Media, body: bytes) -> Answer:
        question: Question = DECODERS[media.request](self._reader, body)
        (outputs,) = self._answers.answer([question])
        return Answer(200, media.answer, answered(outputs, media.answer, question.by_row))

    async def ping(self, _: Request) -> Answer:
        """200 where the policy answers: it is asked."""
        warm(self._policy)
        return Answer(200, "text/plain", b"")

    async def metrics(self, _: Request) -> Answer:
        """For Prometheus."""
        return Answer(200, journals.CONTENT_TYPE, self._journal.metrics())

    async def openapi(self, _: Request) -> Answer:
        """The document of this API, for this policy."""
        return Answer(200, JSON, orjson.dumps(self._document))

    async def execution_parameters(self, _: Request) -> Answer:
        """What a batch transform asks before it begins."""
        limit = self._limits.body or 0
        asked = {"MaxConcurrentTransforms": 1, "BatchStrategy": "MULTI_RECORD", "MaxPayloadInMB": limit >> 20}
        return Answer(200, JSON, orjson.dumps(asked))

    async def page(self, _: Request) -> Answer:
        """For a person."""
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
        known = path if path in self.routes else "other"
        if self._journal.request(method, path, known, status, time.perf_counter() - began, received):
            asyncio.get_running_loop().call_soon(self._journal.flush)


async def read(headers: Mapping[bytes, bytes], receive: Receive, limits: Limits) -> bytes:
    """The whole body; raises Refusal, 413, as soon as it is or says that it is too large, and GoneError."""
    limit = limits.body
    if limit is not None and int(headers.get(b"content-length", b"0")) > limit:
        raise too_large(limits)
    message = await receive()
    if message["type"] == "http.request" and not message["more_body"]:
        body: bytes = message["body"]
        if limit is not None and len(body) > limit:
            raise too_large(limits)
        return body
    pieces, size = [], 0
    while True:
        if message["type"] == "http.disconnect":
            raise GoneError
        pieces.append(message["body"])
        size += len(message["body"])
        if limit is not None and size > limit:
            raise too_large(limits)
        if not message["more_body"]:
            return b"".join(pieces)
        message = await receive()


def too_large(limits: Limits) -> Refusal:
    """413."""
    return Refusal(413, f"body: larger than {limits.body} bytes, which is the limit ({limits.setting})")


def media_of(headers: Mapping[bytes, bytes]) -> Media:
    """The media types of a request and its answer; raises Refusal."""
    if headers.get(b"content-encoding", b"") not in (b"", b"identity"):
        raise Refusal(415, "Content-Encoding: is not supported; send the body as it is")
    return negotiate(headers.get(b"content-type", b""), headers.get(b"accept", b""))


def refusal_answer(refusal: Refusal, route: Optional[Tuple[str, Any]]) -> Answer:
    """One JSON sentence, and for 405 the method that is allowed."""
    headers: Headers = []
    if refusal.status == 405 and route is not None:
        headers = [(b"allow", b"GET, HEAD" if route[0] == "GET" else b"POST")]
    return Answer(refusal.status, JSON, refused(refusal), headers)


def warm(policy: Policy) -> Outputs:
    """Asks the policy once, about an observation of zeros."""
    import numpy as np

    outputs = policy.act(np.zeros((1, policy.observation_size), policy.dtype))
    if "actions_0" not in outputs:
        raise UserError("policy.onnx: has no output actions_0")
    return policy.bounded(outputs)
