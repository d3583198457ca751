"""The execution role of jobs and endpoints: found, or made with the least that they need."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Dict, List, Optional

from rl_app.errors import UserError
from scripts.lib import aws, cli, placeholders
from scripts.lib.images import NAME
from scripts.lib.placeholders import Placeholders

# SageMaker writes it on notebook instances and in Studio, whose credentials are an execution role's.
NOTEBOOK = Path("/opt/ml/metadata/resource-metadata.json")
# These know no narrower resource than all.
VPC_ACTIONS = [
    *(f"ec2:{verb}NetworkInterface{what}" for verb in ("Create", "Delete") for what in ("", "Permission")),
    *(f"ec2:Describe{what}" for what in ("DhcpOptions", "NetworkInterfaces", "SecurityGroups", "Subnets", "Vpcs")),
]


# ---- which it is ----


def of_request(given: Optional[str], session: Any, open_values: Placeholders) -> str:
    """Find the role; in a dry run a placeholder stands for it, unless it is given in full. Raises UserError."""
    if not open_values.dry_run or (given or "").startswith("arn:"):
        return arn_of(given, session)
    placeholder = f"arn:aws:iam::{placeholders.ACCOUNT}:role/{given or NAME}"
    return open_values.put(placeholder, "a dry run asks AWS nothing; --role arn:…:role/NAME says it in full")


def arn_of(given: Optional[str], session: Any) -> str:
    """Find the role that is given by ARN or name, else the notebook's, else ours; raises UserError."""
    if given and given.startswith("arn:"):
        if not re.fullmatch(r"arn:[a-z0-9-]+:iam::[0-9]{12}:role/.+", given):
            raise UserError(f"--role {given}: expected arn:aws:iam::ACCOUNT:role/NAME")
        return given
    iam = aws.client(session, "iam")
    name = given or of_notebook(session) or NAME
    with aws.translate_errors(f"role {name}"):
        arn = find(iam, name)
    if arn is None:
        raise UserError(f"role {name}: there is no such role; scripts/role --create makes one, --role names another")
    return arn


def of_notebook(session: Any, notebook: Path = NOTEBOOK) -> Optional[str]:
    """Return the name of the execution role of the notebook that this runs in; None elsewhere."""
    if not notebook.exists():
        return None
    with aws.translate_errors("asking AWS for the notebook's role"):
        arn = aws.client(session, "sts").get_caller_identity()["Arn"]
    found = re.search(":assumed-role/([^/]+)/", arn)
    return found.group(1) if found else None


def find(iam: Any, name: str) -> Optional[str]:
    """Return the ARN of a role; None where there is none. Raises what boto3 raises."""
    try:
        return str(iam.get_role(RoleName=name)["Role"]["Arn"])
    except iam.exceptions.NoSuchEntityException:
        return None


# ---- what it may do ----


def trust() -> Dict[str, Any]:
    """Let SageMaker take the role, and nobody else."""
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
    """Allow what jobs and endpoints do: files in their bucket, images from their repository, logs and metrics."""
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


def allow(name: str, actions: List[str], resource: str) -> Dict[str, Any]:
    """Make one statement of a policy."""
    return {"Sid": name, "Effect": "Allow", "Action": actions, "Resource": resource}


def create(iam: Any, name: str, policy: Dict[str, Any]) -> str:
    """Make the role where it is missing, give it the policy, and return its ARN. Raises UserError, JobError."""
    made: List[str] = []
    with aws.translate_errors(f"role {name}", made):
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
    cli.note(
        f"{'made' if made else 'brought up to date'}: role {name}; AWS may take some seconds to know it everywhere"
    )
    return arn
