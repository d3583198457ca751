"""The command ``serve``: a trained policy behind SageMaker's hosting contract, on port 8080.

It serves the model of ``/opt/ml/model``; where it is told a store or a model, it fetches that first.
"""

from __future__ import annotations

import argparse
import gc
import os
import socket
import sys
import tempfile
import time
import warnings
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Mapping, Optional, Sequence, Sized

from rl_app.errors import JobError, UserError, reason_of
from rl_app.job import sagemaker
from rl_app.job.agents import ONE
from rl_app.local.compose import say_way_down
from rl_app.machine import detect
from rl_app.policy import signature
from rl_app.policy.policies import Model, model_of
from rl_app.policy.policy import Policy
from rl_app.serving.limits import BodyLimit, Timeouts
from rl_app.serving.metrics import Counts, Metrics
from rl_app.serving.workers import Workers

EXAMPLES = """
examples:
  python -m rl_app serve                      the model of /opt/ml/model, as SageMaker mounts it
  python -m rl_app serve --store runs         the newest completed job's
  python -m rl_app serve first --store runs --port 8081
  python -m rl_app serve path/to/model.tar.gz

Where an argument is not given, the environment is asked: MODEL, STORE, and for --port SAGEMAKER_BIND_TO_PORT.
Settings in the environment, with their defaults:
  SERVE_WORKERS=N            processes that answer; default: one a CPU. SAGEMAKER_MODEL_SERVER_WORKERS is read too
  SERVE_MAX_BODY_MB=25       the largest request; 0 for any. SAGEMAKER_MAX_PAYLOAD_IN_MB of a batch transform wins
  SERVE_CLIENT_TIMEOUT_S=30  how long a client may take to send a request, or to take its answer
  SERVE_IDLE_TIMEOUT_S=75    how long a connection may be idle between two requests
  SERVE_DRAIN_S=24           how long what is under way may take after SIGTERM; SageMaker kills after 30
Exit status: 0 ended by a signal, 1 failed, 2 refused.
"""


MOST_WORKERS = 256


@dataclass(frozen=True)
class Settings:
    """What the environment sets."""

    body: BodyLimit
    timeouts: Timeouts
    workers: int


def main(arguments: Sequence[str], environ: Mapping[str, str] = os.environ) -> int:
    """Serve until a signal; return the exit status: 2 for what the user can fix, with one line that says what."""
    began = time.monotonic()
    options = parse(arguments, environ)
    try:
        settings = read_settings(environ)
        with ExitStack() as stack:
            scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="serve-")))
            policy = load(options, scratch, environ)
            workers = workers_of(policy, settings)
            listening = stack.enter_context(listen(options.host, options.port))
            announce(policy, options.address or address_of(listening), workers, time.monotonic() - began)
            say_way_down(environ)
            settle()
            answer = partial(serve, policy, listening, settings, Counts(workers))
            if workers == 1:
                answer(None)
            else:
                Workers(answer, workers, settings.timeouts.drain_s, say).run()
        return 0
    except (UserError, JobError) as error:
        print(reason_of(error), file=sys.stderr)
        return error.errno


def parse(arguments: Sequence[str], environ: Mapping[str, str]) -> argparse.Namespace:
    """Read the command line, and what the environment says in its place."""
    parser = argparse.ArgumentParser(
        prog="python -m rl_app serve",
        description="Serve a trained policy over HTTP, as SageMaker's hosting asks for it.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", nargs="?", metavar="MODEL", help="a job, an s3:// URL, a model.tar.gz or a directory")
    parser.add_argument("--store", metavar="URL", help="s3://BUCKET[/PREFIX] or a directory, where jobs are looked up")
    parser.add_argument("--host", default="0.0.0.0", help="the address to listen on; default: all")
    parser.add_argument("--port", metavar="N", help="default: 8080")
    parser.add_argument("--address", metavar="URL", help="where a browser finds it, if that is elsewhere")
    options = parser.parse_args(list(arguments))
    options.model = options.model or environ.get("MODEL") or None
    options.store = options.store or environ.get("STORE") or None
    options.port = options.port or environ.get("SAGEMAKER_BIND_TO_PORT") or "8080"
    return options


def read_settings(environ: Mapping[str, str]) -> Settings:
    """Read the settings; raises UserError for what makes no sense."""
    name = "SAGEMAKER_MAX_PAYLOAD_IN_MB" if environ.get("SAGEMAKER_MAX_PAYLOAD_IN_MB") else "SERVE_MAX_BODY_MB"
    megabytes = number(name, environ.get(name, ""), 25.0)
    workers = "SERVE_WORKERS" if environ.get("SERVE_WORKERS") else "SAGEMAKER_MODEL_SERVER_WORKERS"

    def seconds(name: str, default: float) -> float:
        return number(name, environ.get(name, ""), default, least=0.1)

    return Settings(
        BodyLimit(int(megabytes * 2**20) or None, name),
        Timeouts(
            client_s=seconds("SERVE_CLIENT_TIMEOUT_S", 30.0),
            idle_s=seconds("SERVE_IDLE_TIMEOUT_S", 75.0),
            drain_s=seconds("SERVE_DRAIN_S", 24.0),
        ),
        whole_number(workers, environ.get(workers, ""), detect().cpus),
    )


def number(name: str, text: str, default: float, least: float = 0.0) -> float:
    """Read a setting; raises UserError."""
    try:
        value = float(text) if text else default
    except ValueError:
        value = -1.0
    if not least <= value < 1e6:
        raise UserError(f"{name} = {text}: must be a number from {least:g} to 999999")
    return value


def whole_number(name: str, text: str, default: int) -> int:
    """Read a setting that counts something; raises UserError."""
    if text and not (text.isdecimal() and 1 <= int(text) <= MOST_WORKERS):
        raise UserError(f"{name} = {text}: must be a whole number from 1 to {MOST_WORKERS}")
    return int(text or min(default, MOST_WORKERS))


def load(options: argparse.Namespace, scratch: Path, environ: Mapping[str, str]) -> Model:
    """Load the model, whose policies have answered once; raises UserError where there is none or it is broken."""
    from rl_app.serving.app import warm
    from rl_app.storage import artifacts

    if options.model or options.store:
        from rl_app.storage.opening import open_store

        store = open_store(options.store or "runs", environ)
        model = artifacts.locate(options.model, store, environ) if options.model else artifacts.newest(store)
        say(f"model {model.name}: {model.uri}")
        model.fetch(scratch / "fetched")
        directory = scratch / "fetched"
    else:
        directory = sagemaker.paths(environ).model
        if not directory.is_dir():
            raise UserError(f"{directory}: is missing; SageMaker mounts the model there, and MODEL names another")
    opened = artifacts.opened(directory, scratch / "model")
    if signature.is_without_facts(opened):
        say(signature.NOTE)
    served = model_of(opened)
    try:
        for policy in policies_of(served).values():
            warm(policy)
    except (JobError, UserError):
        raise
    except Exception as error:  # onnxruntime's and TensorFlow's exceptions have no base of their own
        raise UserError(f"{opened}: the policy does not answer: {str(error).strip().splitlines()[0]}") from error
    return served


def policies_of(model: Model) -> Mapping[str, Policy]:
    """Return the policies of a model by name; that of a model that names none has RLlib's."""
    return {ONE: model} if isinstance(model, Policy) else model.by_name


def listen(host: str, port: str) -> socket.socket:
    """Open the socket to serve on; raises UserError where the port cannot be had."""
    if not (port.isdecimal() and int(port) < 65536):
        raise UserError(f"port = {port}: must be 0 to 65535")
    try:
        return socket.create_server((host, int(port)))
    except OSError as error:
        raise UserError(f"port = {port}: {os.strerror(error.errno) if error.errno else error}") from None


def address_of(listening: socket.socket) -> str:
    """Give the URL by which this machine finds the server."""
    host, port = listening.getsockname()[:2]
    return f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{port}/"


def settle() -> None:
    """Have the garbage collector look less often: what is loaded by now stays, and requests leave no cycles.

    What it has looked at here stays shared with the processes that are forked.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


def workers_of(policy: Model, settings: Settings) -> int:
    """Return how many processes answer: one where it is TensorFlow's, whose threads do not outlive a fork."""
    return settings.workers if policy.engine == "onnxruntime" else 1


def say(line: str) -> None:
    """Say something to whoever looks after the server."""
    print(line, file=sys.stderr, flush=True)


def announce(policy: Model, address: str, workers: int, seconds: float) -> None:
    """Say what is served, and where."""
    facts = policy.facts
    reward = facts.get("training", {}).get("episode_reward_mean")
    worth = f", mean reward {reward:.2f} in training" if isinstance(reward, (int, float)) else ""
    processes = f" in {workers} processes" if workers > 1 else ""
    which = "" if isinstance(policy, Policy) else f", policies {', '.join(policy.by_name)}"
    what = f"{facts['algorithm']} on {facts.get('env', 'an environment')}{which}{worth}"
    say(f"serving {what}, by {policy.engine}{processes}: {address} after {seconds:.2f} s")


def serve(model: Model, listening: socket.socket, settings: Settings, counts: Counts, process: Optional[int]) -> None:
    """Answer until a signal, then drain; ``process`` is which of several it is, None where it is alone."""
    import numpy as np

    from rl_app.serving import server
    from rl_app.serving.access_log import AccessLog
    from rl_app.serving.app import App
    from rl_app.serving.batching import Batcher
    from rl_app.serving.queries import Reader
    from rl_app.serving.several import AgentsApp, Desk

    # Lists of different lengths are refused, and the client is told so
    warnings.filterwarnings("ignore", category=np.VisibleDeprecationWarning)
    metrics = Metrics(counts, process or 0, alone=process is None)
    log = AccessLog(metrics.lost_line)
    readers = {name: Reader(policy) for name, policy in policies_of(model).items()}

    def desk(name: str, under_way: Sized) -> Desk:
        policy, reader = policies_of(model)[name], readers[name]
        return Desk(policy, reader, Batcher(policy, reader, np.random.default_rng(), metrics.batch, under_way))

    def app(under_way: Sized) -> App:
        if isinstance(model, Policy):
            return App(*desk(ONE, under_way), log, metrics, settings.body)
        desks = {name: desk(name, under_way) for name in model.by_name}
        return AgentsApp(model, desks, log, metrics, settings.body)

    server.run(app, listening, log, metrics, settings.timeouts)
