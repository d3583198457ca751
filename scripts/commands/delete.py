"""`scripts/delete`: an endpoint with its configurations and models, all of it or a word on what is left."""

from __future__ import annotations

import argparse
from typing import Any, Callable, Sequence

from rl_app.errors import JobError, UserError
from rl_app.job import sagemaker
from scripts.lib import aws, cli, endpoints

EXAMPLES = """
examples:
  scripts/delete cartpole      the endpoint, and all configurations and models that scripts/deploy made for it

The model's files stay in S3. Exit status: 0 nothing is left, 1 something is, 2 refused.
"""


@cli.command
def main(arguments: Sequence[str], open_session: Callable[[], Any] = aws.session) -> int:
    """Delete one endpoint; return the exit status."""
    options = parse(arguments)
    sagemaker.check_job_name(options.endpoint)
    service = aws.client(open_session(), "sagemaker")
    parts = endpoints.find_parts(options.endpoint, service)
    if not parts:
        raise UserError(f"{options.endpoint}: there is no such endpoint, and nothing left of one")
    left = endpoints.remove(parts, service)
    if left:
        raise JobError(f"{options.endpoint}: still there: {'; '.join(left)}")
    return 0


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = cli.parser("delete", "Delete an endpoint and what it is made of.", EXAMPLES)
    parser.add_argument("endpoint", metavar="ENDPOINT", help="its name")
    return parser.parse_args(list(arguments))
