"""What AWS's library raises is one line of ours, and says whether another try may do better."""

from __future__ import annotations

from typing import Type

import pytest
from botocore import exceptions

from rl_app.errors import JobError, UserError
from scripts.lib import aws

ENDPOINT = "https://api.sagemaker.eu-west-1.amazonaws.com"
NO_ANSWER = exceptions.ConnectionClosedError(endpoint_url=ENDPOINT)
REFUSED = exceptions.ClientError({"Error": {"Code": "ValidationException", "Message": "no"}}, "CreateModel")


@pytest.mark.parametrize(
    ("raised", "kind", "said"),
    [(NO_ANSWER, JobError, "AWS does not answer"), (REFUSED, UserError, "ValidationException: no")],
)
def test_an_error_is_one_line(raised: Exception, kind: Type[Exception], said: str) -> None:
    with pytest.raises(kind, match=said), aws.translate_errors("asking"):
        raise raised


def test_a_connection_that_was_closed_says_nothing_of_what_is_there() -> None:
    assert not aws.is_missing(NO_ANSWER)
