"""`scripts/serve`: one trained model behind HTTP, in Docker or as a process on this machine."""

from __future__ import annotations

import argparse
import os
from typing import Callable, List, Optional, Sequence

from rl_app.errors import UserError
from rl_app.local.request import is_path
from scripts.lib import cli, compose, engine, models, process

PORT = "8080"

EXAMPLES = """
examples:
  scripts/serve                        the newest completed job's model, on http://127.0.0.1:8080/
  scripts/serve first --port 8081
  scripts/serve path/to/model.tar.gz   a file, a directory, or s3://BUCKET/…/model.tar.gz

It runs until Ctrl-C or SIGTERM, and answers what is under way before it ends. To ask it:
  curl http://127.0.0.1:8080/invocations -H 'Content-Type: application/json' -d '{"observations": [0.1, 0, 0, 0]}'
  scripts/predict --url http://127.0.0.1:8080 '[0.1, 0, 0, 0]'

A job is looked for in runs/ and in the MinIO of docker-compose.yml, and served where it was trained.
The environment is asked where an argument is not given: MODEL, STORE, SERVE_PORT. The server's settings are
in docs/serving.md.
Exit status: 0 ended by a signal, 1 failed, 2 refused.
"""


@cli.command
def main(arguments: Sequence[str]) -> int:
    """Serve one model until a signal; return the exit status."""
    options = parse(arguments)
    check(options)
    used = models.choose(options.engine, options.store, given_models(options), "serving")
    if used.engine == "docker":
        if options.port == "0":
            raise UserError("--port 0: Docker is told which port it is; --port N names one")
        words = ["serve", *job_words(options, used.models, engine.mounted)]
        words += ["--address", f"http://127.0.0.1:{options.port}/"]
        return engine.run_service("serve", words, mounts(used.models), [f"127.0.0.1:{options.port}:8080"])
    os.environ.update(used.environ)
    words = job_words(options, used.models, os.path.abspath)
    store = [] if "--store" in words or os.environ.get("STORE") else ["--store", "runs"]
    return process.become(["serve", *words, "--port", options.port, *store, "--host", "127.0.0.1"])


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = cli.parser(
        "serve", "Serve a trained model over HTTP, as an endpoint of SageMaker's does, on 127.0.0.1.", EXAMPLES
    )
    parser.add_argument("model", nargs="?", metavar="MODEL", help="a job, an s3:// URL, a model.tar.gz or a directory")
    parser.add_argument("--port", metavar="N", help=f"default: {PORT}")
    models.declare_engine(parser)
    parser.add_argument("--store", metavar="URL", help="s3://BUCKET[/PREFIX], or a directory (process only)")
    options = parser.parse_args(list(arguments))
    options.store, options.engine = compose.of_flags(options.store, options.engine)
    options.port = options.port or os.environ.get("SERVE_PORT") or PORT
    return options


def given_models(options: argparse.Namespace) -> List[str]:
    """List what is to be served; nothing for the newest job."""
    model: Optional[str] = options.model or os.environ.get("MODEL")
    return [model] if model else []


def check(options: argparse.Namespace) -> None:
    """Refuse what the server would refuse, before anything is installed or built; raises UserError."""
    if not (options.port.isdecimal() and int(options.port) < 65536):
        raise UserError(f"--port {options.port}: must be 0 to 65535")
    engine.check_port(f"--port {options.port}", "127.0.0.1", int(options.port))
    for path in given_models(options):
        if is_path(path) and not os.path.exists(path):
            raise UserError(f"{path}: there is no such file or directory")


def mounts(given: Sequence[str]) -> List[str]:
    """List what of this machine the container has to see."""
    return [path for path in given if is_path(path)]


def job_words(options: argparse.Namespace, given: Sequence[str], placed: Callable[[str], str]) -> List[str]:
    """Write the same request for `rl_app serve`, elsewhere; ``placed`` says where files are there."""
    words = [placed(model) if is_path(model) else model for model in given]
    store = options.store and (options.store if "://" in options.store else os.path.abspath(options.store))
    return words + (["--store", store] if store else [])
