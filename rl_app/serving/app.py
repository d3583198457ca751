"""The routes, and the one place where what goes wrong becomes an answer."""

from __future__ import annotations

import logging
from functools import partial
from typing import Callable, Dict, Mapping

import numpy as np

from rl_app.policies import Policy
from rl_app.serving.batching import Batcher, Result, answer
from rl_app.serving.codecs import CODECS, Answer, Query, Reader, accepted, content_type
from rl_app.serving.http import Reply, Request, Response, refusal
from rl_app.serving.schema import BadRequest

logger = logging.getLogger(__name__)

Route = Callable[[Request, Reply], None]

LONGEST_SENTENCE = 500


class App:
    """Answers requests; ``routes`` maps a path and then a method to the function that does."""

    def __init__(
        self, policy: Policy, batcher: Batcher, metrics: Callable[[], bytes], pages: Mapping[str, Response]
    ) -> None:
        """``metrics`` gives Prometheus' text; ``pages`` are answers that never change, by path."""
        self._policy, self._batcher, self._metrics = policy, batcher, metrics
        self._reader = Reader(policy)
        self.routes: Dict[str, Dict[str, Route]] = {
            "/ping": {"GET": self._ping},
            "/invocations": {"POST": self._invoke},
            "/metrics": {"GET": self._show_metrics},
            **{path: {"GET": partial(_show, page)} for path, page in pages.items()},
        }

    def __call__(self, request: Request, reply: Reply) -> None:
        """Replies to one request, now or in a later turn of the event loop."""
        try:
            self._route(request)(request, reply)
        except Exception as error:
            reply(refused(error))

    def _route(self, request: Request) -> Route:
        methods = self.routes.get(request.path)
        if methods is None:
            raise BadRequest(f"{request.path}: no such path; there are {', '.join(self.routes)}", status=404)
        route = methods.get("GET" if request.method == "HEAD" else request.method)
        if route is None:
            allowed = ", ".join(method for known in methods for method in (known, *(("HEAD",) * (known == "GET"))))
            sentence = f"{request.path} takes {allowed}, not {request.method}"
            raise BadRequest(sentence, status=405, headers=(("allow", allowed),))
        return route

    def _ping(self, _: Request, reply: Reply) -> None:
        check(self._policy)
        reply(Response(200))

    def _show_metrics(self, _: Request, reply: Reply) -> None:
        reply(Response(200, self._metrics(), "text/plain; version=0.0.4; charset=utf-8"))

    def _invoke(self, request: Request, reply: Reply) -> None:
        headers = request.headers
        encoding = headers.get(b"content-encoding", b"identity").lower()
        if encoding != b"identity":
            raise BadRequest(f"Content-Encoding {encoding.decode('latin-1')}: expected is none", status=415)
        own = content_type(headers.get(b"content-type", b""))
        wanted = accepted(headers.get(b"accept", b""), own)
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
    if isinstance(error, BadRequest):
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
        response = Response(
            200, CODECS[wanted].write(Answer(result, query)), wanted, observations=len(query.observations)
        )
    except Exception as error:
        response = refused(error)
    reply(response)
