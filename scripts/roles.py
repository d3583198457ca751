"""`scripts/role`: the execution role of jobs and endpoints, with the least that they need."""

from __future__ import annotations

import argparse
import json
import re
import sys
from typing import Any, Callable, Dict, List, Optional, Sequence

from rl_app.errors import JobError, UserError
from scripts import aws
from scripts.building import NAME
from scripts.environments import SetUpError

EXAMPLES = """
examples:
  scripts/role                                     prints who may take the role, and what it may do
  scripts/role --account 123456789012              the same, without asking AWS anything
  scripts/role --create                            makes it, or brings it up to date: scripts/launch then finds it
  scripts/role --create --bucket my-bucket --vpc   another bucket, and jobs in a VPC

Exit status: 0 done, 1 failed, 2 refused.
"""


def main(arguments: Sequence[str], open_session: Callable[[], Any] = aws.session) -> int:
    """Prints or makes the role; returns the exit status."""
    options = parse(arguments)
    try:
        session = open_session()
        region = aws.region_of(session)
        partition = session.get_partition_for_region(region)
        account = options.account or aws.account_of(session)
        bucket = options.bucket or default_bucket(region, account)
        policy = permissions(partition, region, account, bucket, options.repository, options.vpc, options.kms_key)
        if not options.create:
            print(json.dumps({"AssumeRolePolicy": trust(), "Policy": policy}, indent=2))
            return 0
        print(create(aws.client(session, "iam"), options.name, policy))
    except (UserError, JobError, SetUpError) as error:
        print(error, file=sys.stderr)
        return error.errno
    except KeyboardInterrupt:
        return 130
    return 0


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="scripts/role",
        description="Print, or make, the role that jobs and endpoints run as.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
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


def default_bucket(region: str, account: str) -> str:
    """SageMaker's own default."""
    return f"sagemaker-{region}-{account}"


def trust() -> Dict[str, Any]:
    """SageMaker, and nobody else, takes the role."""
    statement = {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}
    return {"Version": "2012-10-17", "Statement": [statement]}


def permissions(
    partition: str,
    region: str,
    account: str,
    bucket: str,
    repository: str,
    vpc: bool = False,
    kms_key: Optional[str] = None,
) -> Dict[str, Any]:
    """What jobs and endpoints do: files in their bucket, images from their repository, logs and metrics."""
    logs = f"arn:{partition}:logs:{region}:{account}:log-group:/aws/sagemaker/*"
    statements = [
        allow("Bucket", ["s3:ListBucket", "s3:GetBucketLocation"], f"arn:{partition}:s3:::{bucket}"),
        allow(
            "Files",
            ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"],
            f"arn:{partition}:s3:::{bucket}/*",
        ),
        allow("Registry", ["ecr:GetAuthorizationToken"], "*"),
        allow(
            "Images",
            ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
            f"arn:{partition}:ecr:{region}:{account}:repository/{repository}",
        ),
        allow(
            "Logs",
            ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"],
            logs,
        ),
        {
            **allow("Metrics", ["cloudwatch:PutMetricData"], "*"),
            "Condition": {"StringLike": {"cloudwatch:namespace": "/aws/sagemaker/*"}},
        },
    ]
    if vpc:
        statements.append(allow("Network", VPC_ACTIONS, "*"))
    if kms_key:
        statements.append(allow("Key", ["kms:CreateGrant", "kms:Decrypt", "kms:GenerateDataKey"], kms_key))
    return {"Version": "2012-10-17", "Statement": statements}


# These know no narrower resource than all.
VPC_ACTIONS = [
    "ec2:CreateNetworkInterface",
    "ec2:CreateNetworkInterfacePermission",
    "ec2:DeleteNetworkInterface",
    "ec2:DeleteNetworkInterfacePermission",
    "ec2:DescribeDhcpOptions",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSubnets",
    "ec2:DescribeVpcs",
]


def allow(name: str, actions: List[str], resource: str) -> Dict[str, Any]:
    """One statement of a policy."""
    return {"Sid": name, "Effect": "Allow", "Action": actions, "Resource": resource}


def create(iam: Any, name: str, policy: Dict[str, Any]) -> str:
    """Makes the role where it is missing, gives it the policy, and returns its ARN. Raises UserError, JobError."""
    made: List[str] = []
    with aws.told(f"role {name}", made):
        arn = find(iam, name)
        if arn is None:
            role = iam.create_role(
                RoleName=name,
                AssumeRolePolicyDocument=json.dumps(trust()),
                Description="SageMaker jobs and endpoints of RLlib policies",
            )
            arn = str(role["Role"]["Arn"])
            made.append(f"role {name}")
        iam.put_role_policy(RoleName=name, PolicyName=NAME, PolicyDocument=json.dumps(policy))
    aws.note(
        f"{'made' if made else 'brought up to date'}: role {name}; AWS may take some seconds to know it everywhere"
    )
    return arn


def find(iam: Any, name: str) -> Optional[str]:
    """The ARN of a role; None where there is none. Raises what boto3 raises."""
    try:
        return str(iam.get_role(RoleName=name)["Role"]["Arn"])
    except iam.exceptions.NoSuchEntityException:
        return None
