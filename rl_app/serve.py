"""The command ``serve``: SageMaker's hosting contract outside, an exported policy inside. No Ray, no TensorFlow."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Mapping

import uvloop

from rl_app import sagemaker
from rl_app.errors import UserError
from rl_app.policies import Policy
from rl_app.serving import page
from rl_app.serving.app import App, check
from rl_app.serving.batching import Batcher
from rl_app.serving.http import Exchange, Limits, Server
from rl_app.serving.observing import FLUSH_S, AccessLog, Metrics
from rl_app.serving.openapi import document

MEGABYTE = 1024 * 1024
# What is more than this is no limit: bytes that no machine has
UNLIMITED = 2**53


def setting(variable: str, default: Any, least: float, help_: str) -> Any:
    """A field of :class:`Settings`, read from the environment variable."""
    return field(default=default, metadata={"variable": variable, "least": least, "help": help_})


@dataclass(frozen=True)
class Settings:
    """How ``serve`` is set up: each field is one environment variable."""

    host: str = setting("SERVE_HOST", "0.0.0.0", 0, "address to listen on")
    port: int = setting("SAGEMAKER_BIND_TO_PORT", 8080, 0, "port to listen on; 0 takes a free one")
    max_payload_mb: float = setting(
        "SAGEMAKER_MAX_PAYLOAD_IN_MB", 6.0, 0, "largest body of a request, in MB; 0 is no limit"
    )
    header_seconds: float = setting("SERVE_HEADER_SECONDS", 10.0, 0.1, "longest that headers may take to arrive")
    body_seconds: float = setting(
        "SERVE_BODY_SECONDS", 30.0, 0.1, "longest that a body may take to arrive, or an answer to be read"
    )
    idle_seconds: float = setting("SERVE_IDLE_SECONDS", 75.0, 0.1, "longest that a connection is kept between requests")
    drain_seconds: float = setting("SERVE_DRAIN_SECONDS", 25.0, 0, "longest that a stop waits for requests in flight")
    connections: int = setting("SERVE_CONNECTIONS", 1000, 1, "most connections at a time")


def settings(environ: Mapping[str, str]) -> Settings:
    """The settings of the environment; an empty variable counts as none.

    Raises:
        UserError: a value is no number, or too small.
    """
    given = {}
    for each in fields(Settings):
        variable, kind = each.metadata["variable"], type(each.default)
        text = environ.get(variable, "").strip()
        if text:
            given[each.name] = text if kind is str else _number(variable, text, kind, each.metadata["least"])
    return Settings(**given)


def _number(variable: str, text: str, kind: Any, least: float) -> Any:
    try:
        value = kind(text)
    except ValueError:
        value = None
    if value is None or not least <= value < UNLIMITED:
        noun = "a whole number" if kind is int else "a number"
        raise UserError(f"{variable} = {text}: {noun}, at least {least:g}, is expected")
    return value


def main(environ: Mapping[str, str] = os.environ) -> int:
    """Serves the model of ``/opt/ml/model`` until SIGTERM or SIGINT; returns the exit status."""
    try:
        chosen = settings(environ)
        policy = load(sagemaker.paths(environ).model)
    except UserError as error:
        print(error, file=sys.stderr)
        return error.errno
    return uvloop.run(run(policy, chosen))


def load(directory: Path) -> Policy:
    """The policy of a model directory, seen to answer.

    Raises:
        UserError: it cannot be loaded or does not answer.
    """
    policy = Policy.load(directory)
    try:
        check(policy)
    except Exception as error:
        raise UserError(f"{directory}: the policy does not answer: {error}".splitlines()[0]) from error
    return policy


async def run(policy: Policy, chosen: Settings) -> int:
    """Serves until a signal, then drains; returns the exit status."""
    loop = asyncio.get_running_loop()
    log = AccessLog(sys.stdout.fileno())
    metrics = Metrics(lambda: len(server.connections), lambda: log.dropped)
    app = App(policy, Batcher(policy, loop, metrics.add_run), metrics.text, page.pages(policy, document(policy)))

    def observe(exchange: Exchange) -> None:
        request = exchange.request
        metrics.add(request.path if request and request.path in app.paths else "other", exchange)
        log.add(exchange)

    server = Server(app, observe, limits(chosen))
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    try:
        port = await server.start(chosen.host, chosen.port)
    except OSError as error:
        print(f"cannot listen on {chosen.host}:{chosen.port}: {error.strerror or error}", file=sys.stderr)
        return UserError.errno
    # What was loaded stays: the collector need not look at it again
    gc.freeze()
    log.event("serving", host=chosen.host, port=port, algorithm=policy.facts["algorithm"], engine=policy.engine)
    flushing = loop.create_task(_flush(log))
    await stopped.wait()
    log.event("draining", connections=len(server.connections))
    await server.drain(chosen.drain_seconds)
    flushing.cancel()
    log.event("stopped")
    log.close()
    return 0


def limits(chosen: Settings) -> Limits:
    """What the settings allow a client."""
    return Limits(
        header_bytes=16 * 1024,
        body_bytes=int(chosen.max_payload_mb * MEGABYTE) or UNLIMITED,
        header_seconds=chosen.header_seconds,
        body_seconds=chosen.body_seconds,
        idle_seconds=chosen.idle_seconds,
        connections=chosen.connections,
    )


async def _flush(log: AccessLog) -> None:
    while True:
        log.flush()
        await asyncio.sleep(FLUSH_S)
