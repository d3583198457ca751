"""`scripts/role`: the execution role of jobs and endpoints, with the least that they need."""

from __future__ import annotations

import argparse
import json
import re
from typing import Any, Callable, Sequence

from scripts.lib import aws, buckets, cli, execution_role
from scripts.lib.images import NAME

EXAMPLES = """
examples:
  scripts/role                                     prints who may take the role, and what it may do
  scripts/role --account 123456789012              the same, without asking AWS anything
  scripts/role --create                            makes it, or brings it up to date: scripts/launch then finds it
  scripts/role --create --bucket my-bucket --vpc   another bucket, and jobs in a VPC

Exit status: 0 done, 1 failed, 2 refused.
"""


@cli.command
def main(arguments: Sequence[str], open_session: Callable[[], Any] = aws.session) -> int:
    """Print or make the role; return the exit status."""
    options = parse(arguments)
    session = open_session()
    region = aws.region_of(session)
    partition = session.get_partition_for_region(region)
    account = options.account or aws.account_of(session)
    bucket = options.bucket or buckets.default(region, account)
    policy = execution_role.permissions(
        partition, region, account, bucket, options.repository, options.vpc, options.kms_key
    )
    if options.create:
        print(execution_role.create(aws.client(session, "iam"), options.name, policy))
    else:
        print(json.dumps({"AssumeRolePolicy": execution_role.trust(), "Policy": policy}, indent=2))
    return 0


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = cli.parser("role", "Print, or make, the role that jobs and endpoints run as.", EXAMPLES)
    parser.add_argument("--create", action="store_true", help="make it, or bring it up to date")
    parser.add_argument("--name", default=NAME, help=f"the role's; default: {NAME}")
    parser.add_argument("--account", metavar="NUMBER", help="default: that of your credentials")
    parser.add_argument("--bucket", help="what jobs read and write; default: sagemaker-REGION-ACCOUNT")
    parser.add_argument("--repository", default=NAME, help=f"the images' in ECR; default: {NAME}")
    parser.add_argument("--vpc", action="store_true", help="jobs run in a VPC")
    parser.add_argument("--kms-key", metavar="ARN", help="what jobs write is encrypted with this key")
    options = parser.parse_args(list(arguments))
    if options.account and not re.fullmatch("[0-9]{12}", options.account):
        parser.error(f"--account {options.account}: the account's number has 12 digits")
    return options
