"""`scripts/serve`: one trained model behind HTTP, in Docker or as a process on this machine."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Callable, List, NoReturn, Optional, Sequence

from rl_app.errors import UserError
from scripts import engine, environments, models

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
The environment is asked where an argument is not given: MODEL, STORE, SERVE_PORT. README.md has the server's settings.
Exit status: 0 ended by a signal, 1 failed, 2 refused.
"""


def main(arguments: Sequence[str]) -> int:
    """Serves one model until a signal; returns the exit status."""
    options = parse(arguments)
    try:
        check(options)
        if models.choose(options.engine, options.store, places(options), "serving") == "docker":
            words = ["serve", *job_words(options, engine.mounted), "--address", f"http://127.0.0.1:{options.port}/"]
            return engine.run_service("serve", words, mounts(options), [f"127.0.0.1:{options.port}:8080"])
        in_process([*job_words(options, os.path.abspath), "--port", options.port])
    except (UserError, environments.SetUpError) as error:
        print(error, file=sys.stderr)
        return error.errno
    except KeyboardInterrupt:
        return 130


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="scripts/serve",
        description="Serve a trained model over HTTP, as an endpoint of SageMaker's does, on 127.0.0.1.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", nargs="?", metavar="MODEL", help="a job, an s3:// URL, a model.tar.gz or a directory")
    parser.add_argument("--port", metavar="N", help=f"default: {PORT}")
    parser.add_argument(
        "--engine", choices=["docker", "process"], help="default: where the model is; else docker, if one answers"
    )
    parser.add_argument("--store", metavar="URL", help="s3://BUCKET[/PREFIX], or a directory (process only)")
    options = parser.parse_args(list(arguments))
    options.port = options.port or os.environ.get("SERVE_PORT") or PORT
    return options


def places(options: argparse.Namespace) -> List[str]:
    """What is to be served; nothing for the newest job."""
    model: Optional[str] = options.model or os.environ.get("MODEL")
    return [model] if model else []


def check(options: argparse.Namespace) -> None:
    """Refuses what the server would refuse, before anything is installed or built; raises UserError."""
    if not (options.port.isdigit() and int(options.port) < 65536):
        raise UserError(f"--port {options.port}: must be 0 to 65535")
    for path in places(options):
        if models.is_path(path) and not os.path.exists(path):
            raise UserError(f"{path}: there is no such file or directory")


def mounts(options: argparse.Namespace) -> List[str]:
    """What of this machine the container has to see."""
    return [path for path in places(options) if models.is_path(path)]


def job_words(options: argparse.Namespace, placed: Callable[[str], str]) -> List[str]:
    """The same request for `rl_app serve`, elsewhere; ``placed`` says where files are there."""
    words = [placed(model) if models.is_path(model) else model for model in places(options)]
    store = options.store and (options.store if "://" in options.store else os.path.abspath(options.store))
    return words + (["--store", store] if store else [])


def in_process(words: Sequence[str]) -> NoReturn:
    """Becomes the server, in an environment that has all it needs. Raises SetUpError."""
    python = str(environments.ensure([environments.IMAGE]))
    os.chdir(environments.ROOT)
    store = [] if "--store" in words else ["--store", os.environ.get("STORE") or "runs"]
    os.execv(python, [python, "-m", "rl_app", "serve", *words, *store, "--host", "127.0.0.1"])
