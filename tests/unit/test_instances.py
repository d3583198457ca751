"""Instances that cannot run the image are told from those that can by their names alone."""

from __future__ import annotations

import pytest

from rl_app.errors import UserError
from scripts.lib import instances


@pytest.mark.parametrize(
    ("name", "what", "instead"),
    [
        ("ml.c6g.xlarge", "an ARM machine", "ml.c6i.xlarge"),
        ("ml.c7gn.16xlarge", "an ARM machine", "ml.c7i.16xlarge"),
        ("ml.m6gd.large", "an ARM machine", "ml.m6i.large"),
        ("ml.r8g.4xlarge", "an ARM machine", "ml.r7i.4xlarge"),
        ("ml.t4g.medium", "an ARM machine", "ml.t3.medium"),
        ("ml.g5g.xlarge", "an ARM machine", "ml.g5.xlarge"),
        ("ml.p6e-gb200.36xlarge", "an ARM machine", "ml.g5.xlarge"),
        ("ml.a1.large", "an ARM machine", "ml.c5.xlarge"),
        ("ml.inf2.xlarge", "a machine for AWS Inferentia", "ml.g5.xlarge"),
        ("ml.trn1n.32xlarge", "a machine for AWS Trainium", "ml.g5.xlarge"),
        ("ml.trn2.48xlarge", "a machine for AWS Trainium", "ml.g5.xlarge"),
        ("ml.dl1.24xlarge", "a machine for Gaudi or Qualcomm", "ml.g5.xlarge"),
        ("ml.g4ad.xlarge", "a machine with AMD's GPUs", "ml.g5.xlarge"),
    ],
)
def test_what_is_not_x86_64_or_not_nvidias_is_refused_with_one_that_is(name: str, what: str, instead: str) -> None:
    with pytest.raises(UserError) as refused:
        instances.check(name)
    assert str(refused.value) == f"{name}: {what}; this image is linux/amd64, such as for {instead}"


PASSING = """
    ml.c5.xlarge ml.c5n.18xlarge ml.c5d.large ml.c6i.xlarge ml.c6a.xlarge ml.c7i.large ml.m5dn.large ml.m6id.large
    ml.r7iz.large ml.t3.medium ml.p3.2xlarge ml.p3dn.24xlarge ml.p4de.24xlarge ml.p5en.48xlarge ml.p6-b200.48xlarge
    ml.g4dn.xlarge ml.g5.xlarge ml.g6e.12xlarge ml.gr6.4xlarge ml.c99.large
"""


@pytest.mark.parametrize("name", PASSING.split())
def test_all_others_pass(name: str) -> None:
    instances.check(name)
