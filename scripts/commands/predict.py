"""`scripts/predict`: sends observations to an endpoint and prints what it answers."""

from __future__ import annotations

import argparse
import json
import urllib.error
import urllib.request
from typing import Any, Callable, List, Sequence

from rl_app.errors import JobError, UserError
from rl_app.storage.s3_client import open_url
from scripts.lib import aws, cli

DEADLINE_S = 60.0  # SageMaker's

EXAMPLES = """
examples:
  scripts/predict cartpole '[0.01, 0, 0.02, 0]'                       the deterministic action
  scripts/predict cartpole '[0.01, 0, 0.02, 0]' '[0, 0, 0, 0]' --sample    two observations, actions sampled
  scripts/predict --url http://127.0.0.1:8080 '[0.01, 0, 0.02, 0]'    a container on this machine
  scripts/predict cartpole '{"instances": [{"observations": [0, 0, 0, 0]}]}'    a request of your own, as it is

The answer goes to standard output, as JSON. Exit status: 0 answered, 1 failed, 2 refused.
"""


@cli.command
def main(arguments: Sequence[str], open_session: Callable[[], Any] = aws.session) -> int:
    """Ask once; return the exit status."""
    options = parse(arguments)
    content = body(options.observations, options.sample)
    if options.url:
        print(ask_url(options.url, content))
    else:
        print(ask(options.endpoint, content, aws.client(open_session(), "sagemaker-runtime")))
    return 0


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line; the endpoint is its first word, unless there is --url."""
    parser = cli.parser(
        "predict",
        "Ask an endpoint which action to take.",
        EXAMPLES,
        usage="scripts/predict [-h] [--sample] (ENDPOINT | --url URL) OBSERVATION [OBSERVATION ...]",
    )
    parser.add_argument("words", nargs="+", metavar="ENDPOINT OBSERVATION", help="an observation is JSON")
    parser.add_argument("--url", help="a server, in place of an endpoint of SageMaker's")
    parser.add_argument("--sample", action="store_true", help="a sampled action, as in training")
    options = parser.parse_intermixed_args(list(arguments))
    options.endpoint = None if options.url else options.words[0]
    options.observations = options.words if options.url else options.words[1:]
    if not options.observations:
        parser.error("OBSERVATION is missing, such as '[0.01, 0, 0.02, 0]'")
    return options


def body(words: Sequence[str], sample: bool) -> bytes:
    """Write the request: observations as one batch, or a single object as it was given. Raises UserError."""
    values: List[Any] = []
    for word in words:
        try:
            values.append(json.loads(word))
        except ValueError as error:
            raise UserError(f"observation {word}: no JSON: {error}") from None
    given = (
        len(values) == 1 and isinstance(values[0], dict) and {"observations", "instances", "inputs"} & set(values[0])
    )
    request = dict(values[0]) if given else {"observations": values}
    return json.dumps({**request, "deterministic": False} if sample else request).encode()


def ask(endpoint: str, content: bytes, runtime: Any) -> str:
    """Ask an endpoint. Raises UserError where the model refuses the request, JobError where it fails."""
    from botocore.exceptions import ClientError

    try:
        with aws.translate_errors(f"endpoint {endpoint}"):
            answer = runtime.invoke_endpoint(
                EndpointName=endpoint, ContentType="application/json", Accept="application/json", Body=content
            )
            return str(answer["Body"].read().decode())
    except (UserError, JobError) as error:
        cause = error.__cause__
        if isinstance(cause, ClientError) and "OriginalStatusCode" in cause.response:
            raise refusal(endpoint, cause.response["OriginalStatusCode"], cause.response["OriginalMessage"]) from None
        raise


def ask_url(url: str, content: bytes) -> str:
    """Ask a server by its address; raises what :func:`ask` does."""
    if not url.startswith(("http://", "https://")):
        raise UserError(f"--url {url}: must begin with http:// or https://")
    request = urllib.request.Request(f"{url.rstrip('/')}/invocations", content, {"Content-Type": "application/json"})
    try:
        with open_url(request, DEADLINE_S) as answer:
            return str(answer.read().decode())
    except urllib.error.HTTPError as error:
        raise refusal(url, error.code, error.read().decode("utf-8", "replace")) from None
    except (OSError, ValueError) as error:
        raise JobError(f"{url}: does not answer: {getattr(error, 'reason', error)}") from None


def refusal(where: str, status: int, said: str) -> Exception:
    """Say in one line what the model itself answered."""
    line = f"{where}: {status}: {' '.join(said.split())}"
    return UserError(line) if 400 <= status < 500 else JobError(line)
