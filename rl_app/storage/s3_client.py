"""boto3's client of S3, as the jobs and the scripts make it."""

from __future__ import annotations

import urllib.request
from typing import Any, Dict, Mapping, Optional
from urllib.parse import urlsplit


def without_password(address: str) -> str:
    """Give what of an endpoint's URL holds no password."""
    return f"{urlsplit(address).scheme}://{urlsplit(address).netloc.rpartition('@')[2]}"


def endpoint(environ: Mapping[str, str]) -> Optional[str]:
    """Find the URL of the stand-in for S3 that the environment names; None is AWS."""
    names = ("AWS_ENDPOINT_URL_S3", "S3_ENDPOINT_URL", "AWS_ENDPOINT_URL")
    return next((environ[name] for name in names if environ.get(name)), None)


def is_loopback(address: Optional[str]) -> bool:
    """Tell whether an endpoint's URL is of this machine itself."""
    return urlsplit(address or "").hostname in ("localhost", "127.0.0.1", "::1")


def open_url(request: urllib.request.Request, timeout_s: float) -> Any:
    """Ask a server and return its answer, by the proxies of the environment, of which none leads to this machine."""
    proxies = [urllib.request.ProxyHandler({})] if is_loopback(request.full_url) else []
    return urllib.request.build_opener(*proxies).open(request, timeout=timeout_s)


def client_of(environ: Mapping[str, str], address: Optional[str]) -> Any:
    """Make a client with an environment's credentials and region; ``address`` is a stand-in's, None is AWS."""
    # boto3 takes 0.3 s to import, which a directory store need not pay
    import boto3

    session = boto3.session.Session(
        aws_access_key_id=environ.get("AWS_ACCESS_KEY_ID") or None,
        aws_secret_access_key=environ.get("AWS_SECRET_ACCESS_KEY") or None,
        aws_session_token=environ.get("AWS_SESSION_TOKEN") or None,
        region_name=environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or None,
    )
    style = {"addressing_style": "path" if address else "auto"}
    return make_client(
        session,
        endpoint_url=address,
        region_name=session.region_name or "us-east-1",
        settings={
            "read_timeout": 30,
            "retries": {"mode": "standard", "total_max_attempts": 3},
            "s3": style,
            "proxies": {} if is_loopback(address) else None,  # no proxy leads back to this machine
        },
    )


def make_client(session: Any, settings: Mapping[str, Any], **arguments: Any) -> Any:
    """Make a client of a session, with botocore's further ``settings``, that gets on with stand-ins for S3."""
    from botocore.config import Config
    from botocore.handlers import add_expect_header

    config = Config(
        connect_timeout=5,
        # stand-ins for S3 do not know the checksums that boto3 sends by default
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        **settings,
    )
    client = session.client("s3", config=config, **arguments)
    # An empty file is answered without `100 Continue`, after which botocore takes the next answer on that connection
    # for one without a status line and waits for it until the read times out.
    client.meta.events.unregister("before-call.s3", add_expect_header)
    return client


def make_bucket(client: Any, bucket: str, region: str) -> None:
    """Make a bucket; one that another job of ours has made since is as good."""
    from botocore.exceptions import ClientError

    place = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    try:
        client.create_bucket(Bucket=bucket, **place)
    except ClientError as error:
        if code_of(error) != "BucketAlreadyOwnedByYou":
            raise


def answer_of(error: Optional[BaseException]) -> Dict[str, Any]:
    """Give what AWS answered; nothing where the error is none of AWS's, or a connection was closed before an answer."""
    return getattr(error, "response", None) or {}


def code_of(error: Optional[BaseException]) -> str:
    """Give AWS's code of an error; "" where it is none of AWS's."""
    return str(answer_of(error).get("Error", {}).get("Code", ""))


def cause_of(error: Exception) -> str:
    """Give what botocore says in one line, or what the network said where botocore only says that it did."""
    network = getattr(error, "kwargs", {}).get("error")
    said = str(network.args[-1]).rpartition("new connection: ")[2] if network and network.args else str(error)
    return " ".join(said.split())
