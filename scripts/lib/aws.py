"""AWS as the scripts use it: one session, and every error in one line that says what to do."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Any, Dict, Iterator, List, Mapping, Optional

from rl_app.errors import JobError, UserError
from rl_app.storage import s3_client
from rl_app.storage.s3_client import answer_of
from rl_app.storage.s3_client import code_of as code_of
from scripts.lib import environments

# What to do about an error of AWS's, by its code.
REFUSED: Dict[str, str] = {
    **dict.fromkeys(
        ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "403"),
        "these credentials may not do that: ask for the right that the message names",
    ),
    **dict.fromkeys(
        ("ExpiredToken", "ExpiredTokenException", "RequestExpired"), "the credentials have expired: log in again"
    ),
    **dict.fromkeys(
        ("UnrecognizedClientException", "InvalidClientTokenId", "InvalidAccessKeyId", "SignatureDoesNotMatch"),
        "AWS does not know these credentials: look at `aws configure list`",
    ),
    **dict.fromkeys(
        ("ResourceLimitExceeded", "LimitExceededException", "ServiceQuotaExceededException"),
        "a quota of the account is reached: ask for more in Service Quotas, or take another instance type",
    ),
    **dict.fromkeys(("ResourceInUse", "ConflictException"), "the name is in use: give another"),
    **dict.fromkeys(("PermanentRedirect", "301", "IllegalLocationConstraintException"), "it is in another region"),
    **dict.fromkeys(("BucketAlreadyExists",), "another account has a bucket of this name: give another"),
    **dict.fromkeys(("ValidationException", "ValidationError"), "AWS does not take the request"),
    **dict.fromkeys(("NoSuchEntity", "ResourceNotFound", "404"), "there is no such thing"),
    **dict.fromkeys(("ImageNotFoundException", "RepositoryNotFoundException"), "ECR does not have it"),
}
LATER = "AWS has too many requests or has trouble of its own: try again in a minute"
NOT_LATER = ("4", "3")


def session() -> Any:
    """Open boto3's session, with profile, region and endpoints from its own settings. Raises UserError, SetUpError."""
    environments.become_host()
    import boto3
    from botocore.exceptions import BotoCoreError

    try:
        return boto3.session.Session()
    except BotoCoreError as error:
        raise UserError(explain(error)) from None


def client(session: Any, service: str) -> Any:
    """Make a client of the service that tries again where AWS is busy. Raises UserError."""
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError

    settings = {"read_timeout": 60, "retries": {"mode": "standard", "total_max_attempts": 6}}
    try:
        if service == "s3":
            return s3_client.make_client(session, settings)
        return session.client(service, config=Config(connect_timeout=5, **settings))
    except (BotoCoreError, ValueError) as error:
        raise UserError(f"{service}: {explain(error)}") from None


def region_of(session: Any) -> str:
    """Return the session's region. Raises UserError where there is none."""
    if not session.region_name:
        raise UserError("no AWS region: set AWS_DEFAULT_REGION, or `aws configure set region NAME`")
    return str(session.region_name)


@contextmanager
def translate_errors(what: str, made: Optional[List[str]] = None) -> Iterator[None]:
    """Make any error of boto3's one line: what failed, what to do, AWS's message, what was made before it.

    Raises:
        UserError: the user can do something about it.
        JobError: AWS or the network has to.
    """
    from boto3.exceptions import Boto3Error
    from botocore import exceptions as botocores

    try:
        yield
    except (Boto3Error, botocores.BotoCoreError, botocores.ClientError) as error:
        left = f"; made before that and still there: {', '.join(made)}" if made else ""
        line = f"{what}: {explain(error)}{left}"
        passing = isinstance(error, (botocores.ConnectionError, botocores.HTTPClientError))
        status = str(answer_of(error).get("ResponseMetadata", {}).get("HTTPStatusCode", "4"))
        busy = is_busy(code_of(error)) or not status.startswith(NOT_LATER)
        raise (JobError if passing or busy else UserError)(line) from error


def explain(error: Exception) -> str:
    """Say what to do about an error of boto3's, and what it says itself, in one line."""
    said = " ".join(str(error).split())
    name, code = type(error).__name__, code_of(error)
    if name in ("NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError"):
        return f"no AWS credentials: `aws configure`, AWS_PROFILE, or AWS_ACCESS_KEY_ID and its secret ({said})"
    if name == "NoRegionError":
        return "no AWS region: set AWS_DEFAULT_REGION, or `aws configure set region NAME`"
    if name == "ProfileNotFound":
        return f"{said}: `aws configure list-profiles` lists those there are"
    if name in ("EndpointConnectionError", "ConnectTimeoutError", "ConnectionClosedError", "ReadTimeoutError"):
        return f"AWS does not answer: is the network up, is the region's name right? ({said})"
    if not code:
        return said
    message = " ".join(str(answer_of(error)["Error"].get("Message", "")).split()) or said
    advice = LATER if is_busy(code) else REFUSED.get(code)
    return f"{advice} ({code}: {message})" if advice else f"{code}: {message}"


def is_busy(code: str) -> bool:
    """Tell whether the code says to come again later."""
    return "Throttl" in code or code in (
        "TooManyRequestsException",
        "ServiceUnavailable",
        "InternalFailure",
        "SlowDown",
    )


def is_missing(error: Optional[BaseException]) -> bool:
    """Tell whether SageMaker says that there is nothing of this name: it has no code of its own for that."""
    message = str(answer_of(error).get("Error", {}).get("Message", "")).lower()
    return code_of(error) == "ResourceNotFound" or any(
        text in message for text in ("could not find", "not found", "does not exist")
    )


def account_of(session: Any) -> str:
    """Ask for the number of the account that the credentials belong to. Raises UserError, JobError."""
    with translate_errors("asking AWS whose credentials these are"):
        return str(client(session, "sts").get_caller_identity()["Account"])


def tags(given: Mapping[str, str]) -> List[Dict[str, str]]:
    """Write tags as AWS takes them."""
    return [{"Key": key, "Value": value} for key, value in given.items()]
