"""The routes, and the one place where what goes wrong becomes an answer."""

from __future__ import annotations

import logging
from functools import partial
from typing import Callable, Dict, Mapping, Tuple

import numpy as np

from rl_app.policies import Policy
from rl_app.serving.batching import Batcher, Result, answer
from rl_app.serving.codecs import CODECS, Answer, Query, Reader, accepted, content_type
from rl_app.serving.http import Reply, Request, Response, refusal
from rl_app.serving.schema import RequestError

logger = logging.getLogger(__name__)

Route = Callable[[Request, Reply], None]

LONGEST_SENTENCE = 500


class App:
    """Answers requests; ``routes`` maps a method and a path to the function that does."""

    def __init__(
        self, policy: Policy, batcher: Batcher, metrics: Callable[[], bytes], pages: Mapping[str, Response]
    ) -> None:
        """``metrics`` gives Prometheus' text; ``pages`` are answers that never change, by path."""
        self._policy, self._batcher, self._metrics = policy, batcher, metrics
        self._reader = Reader(policy)
        shown: Dict[str, Route] = {
            "/ping": self._ping,
            "/metrics": self._show_metrics,
            **{path: partial(_show, page) for path, page in pages.items()},
        }
        self.routes: Dict[Tuple[str, str], Route] = {
            ("POST", "/invocations"): self._invoke,
            **{(method, path): route for path, route in shown.items() for method in ("GET", "HEAD")},
        }
        self.paths = {path for _, path in self.routes}

    def __call__(self, request: Request, reply: Reply) -> None:
        """Replies to one request, now or in a later turn of the event loop."""
        try:
            route = self.routes.get((request.method, request.path)) or self._lost
            route(request, reply)
        except Exception as error:
            reply(refused(error))

    def _lost(self, request: Request, _: Reply) -> None:
        allowed = ", ".join(method for method, path in self.routes if path == request.path)
        if not allowed:
            raise RequestError(f"{request.path}: no such path; there are {', '.join(sorted(self.paths))}", status=404)
        sentence = f"{request.path} takes {allowed}, not {request.method}"
        raise RequestError(sentence, status=405, headers=(("allow", allowed),))

    def _ping(self, _: Request, reply: Reply) -> None:
        check(self._policy)
        reply(Response(200))

    def _show_metrics(self, _: Request, reply: Reply) -> None:
        reply(Response(200, self._metrics(), "text/plain; version=0.0.4; charset=utf-8"))

    def _invoke(self, request: Request, reply: Reply) -> None:
        headers = request.headers
        if b"content-encoding" in headers:
            raise RequestError("Content-Encoding: a body as it is, without one, is expected", status=415)
        own = content_type(headers.get(b"content-type", b""))
        wanted = accepted(headers[b"accept"], own) if b"accept" in headers else own
        query = CODECS[own].read(request.body, self._reader)
        self._batcher.submit(query, partial(_finish, query, wanted, reply))


def check(policy: Policy) -> None:
    """Asks the policy once.

    Raises:
        Exception: it does not answer.
    """
    (result,) = answer(policy, [Query(np.zeros((1, policy.observation_size)), batched=True)])
    if isinstance(result, Exception):
        raise result


def refused(error: Exception) -> Response:
    """The answer to a request that failed: the client's fault says which, ours is logged and not shown."""
    if isinstance(error, RequestError):
        return refusal(error.status, str(error)[:LONGEST_SENTENCE], error.headers)
    logger.error("a request failed", exc_info=error)
    return refusal(500, "the server failed; its log says why")


def _show(page: Response, _: Request, reply: Reply) -> None:
    reply(page)


def _finish(query: Query, wanted: str, reply: Reply, result: Result) -> None:
    if isinstance(result, Exception):
        reply(refused(result))
        return
    try:
        body = CODECS[wanted].write(Answer(result, query))
        response = Response(200, body, wanted, observations=len(query.observations))
    except Exception as error:
        response = refused(error)
    reply(response)
