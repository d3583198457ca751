"""The rights that docs/sagemaker.md lists are those of the calls that the scripts make; of S3 they have other names."""

from __future__ import annotations

import re
from typing import Set

import botocore.session
import pytest
from botocore import xform_name

from scripts.lib.environments import ROOT

GUIDE = (ROOT / "docs" / "sagemaker.md").read_text(encoding="utf-8")


def asked(service: str) -> Set[str]:
    """The operations of a service that the scripts name."""
    source = "".join(file.read_text(encoding="utf-8") for file in sorted((ROOT / "scripts").rglob("*.py")))
    methods = set(re.findall(r"\.([a-z_]+)\(", source)) | set(re.findall(r'get_paginator\("([a-z_]+)"\)', source))
    operations = botocore.session.get_session().get_service_model(service).operation_names
    return {name for name in operations if xform_name(name) in methods}


@pytest.mark.parametrize(
    ("service", "prefix", "few"),
    [
        ("sagemaker", "sagemaker", {"CreateTrainingJob", "UpdateEndpoint", "DeleteModel", "Search"}),
        ("sagemaker-runtime", "sagemaker", {"InvokeEndpoint"}),
        ("ecr", "ecr", {"CreateRepository", "DescribeImages", "GetAuthorizationToken"}),
        ("iam", "iam", {"CreateRole", "PutRolePolicy"}),
        ("sts", "sts", {"GetCallerIdentity"}),
        ("logs", "logs", {"GetLogEvents"}),
        ("cloudwatch", "cloudwatch", {"GetMetricData"}),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_each_call_is_among_the_rights(service: str, prefix: str, few: Set[str]) -> None:
    found = asked(service)
    assert few <= found
    assert sorted(name for name in found if f"`{prefix}:{name}`" not in GUIDE) == []
