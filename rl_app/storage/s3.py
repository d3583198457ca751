"""A store in a bucket of S3, or of a stand-in for it."""

from __future__ import annotations

import re
from contextlib import contextmanager, suppress
from datetime import timezone
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional

from rl_app.errors import JobError, UserError
from rl_app.files import durable_write
from rl_app.storage.base import Entry, checked
from rl_app.storage.s3_client import cause_of, client_of, code_of, endpoint, make_bucket, without_password
from rl_app.storage.s3_download import download
from rl_app.storage.version import open_version

LEAST_PART = 8 << 20
_BUCKET = re.compile(r"(?!\d+\.\d+\.\d+\.\d+$)(?!.*\.\.)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_OUTDATED = {"InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken"}
_REFUSED = {"401", "403", "AccessDenied", *_OUTDATED}
CONFLICTS = 3
"""How often a name is tried to be claimed of which S3 says that another's claim is under way."""


class S3Store:
    """A Store below ``prefix`` of a bucket.

    Args:
        client: boto3's.
        connect: makes another, with the credentials as they are by then.
    """

    def __init__(self, client: Any, bucket: str, prefix: str, connect: Optional[Callable[[], Any]] = None) -> None:
        self.url = "s3://" + "/".join(filter(None, (bucket, prefix)))
        self._client = client
        self._connect = connect
        self._bucket = bucket
        self._prefix = f"{prefix}/" if prefix else ""

    def read(self, key: str) -> bytes:
        with self._translate_errors(key):
            body: bytes = self._client.get_object(**self._object(key))["Body"].read()
            return body

    def write(self, key: str, data: bytes) -> None:
        with self._translate_errors(key):
            self._client.put_object(**self._object(key), Body=data)

    def create(self, key: str, data: bytes) -> bool:
        for _ in range(CONFLICTS):
            if self._put_where_nothing_is(key, data):
                return True
            with suppress(FileNotFoundError):  # where a claim that was under way came to nothing
                # It may be ours: where its answer was lost, boto3 has asked again, and that was refused
                return self.read(key) == data
        return False

    def _put_where_nothing_is(self, key: str, data: bytes) -> bool:
        from botocore.exceptions import ClientError

        with self._translate_errors(key):
            try:
                self._client.put_object(**self._object(key), Body=data, IfNoneMatch="*")
            except ClientError as error:
                if code_of(error) in ("PreconditionFailed", "ConditionalRequestConflict"):
                    return False
                raise
        return True

    def upload(self, path: Path, key: str) -> None:
        # as a stream, for of a file that can seek boto3 sends a small one straight from the disk
        with open_version(path) as version, self._translate_errors(key):
            self._client.upload_fileobj(version, **self._object(key), Config=_in_parts(version.size))

    def download(self, key: str, path: Path, arrived: Optional[Callable[[int], None]] = None) -> None:
        with self._translate_errors(key), durable_write(path) as beside, beside.open("wb") as file:
            download(self._client, self._object(key), file, arrived or (lambda _: None))

    def list(self, prefix: str) -> List[Entry]:
        below = self._prefix + (f"{checked(prefix)}/" if prefix else "")
        with self._translate_errors(prefix):
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=below)
            return [
                Entry(
                    found["Key"][len(self._prefix) :],
                    found["Size"],
                    found["LastModified"].astimezone(timezone.utc),
                )
                for page in pages
                for found in page.get("Contents", [])
                if not found["Key"].endswith("/")  # a folder that some console made
            ]

    def folders(self) -> List[str]:
        with self._translate_errors(""):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=self._prefix, Delimiter="/"
            )
            return sorted(
                found["Prefix"][len(self._prefix) : -1] for page in pages for found in page.get("CommonPrefixes", [])
            )

    def delete(self, key: str) -> None:
        with self._translate_errors(key):
            self._client.delete_object(**self._object(key))

    def _object(self, key: str) -> Dict[str, str]:
        return {"Bucket": self._bucket, "Key": self._prefix + checked(key)}

    @contextmanager
    def _translate_errors(self, key: str) -> Iterator[None]:
        from boto3.exceptions import Boto3Error
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield
        except (Boto3Error, BotoCoreError, ClientError) as error:
            if code_of(error) in ("404", "NoSuchKey"):
                raise FileNotFoundError(f"store {self.url}: no {key}") from None
            if self._connect and code_of(error) in _OUTDATED:  # for the next try: they may have been rotated
                self._client = self._connect()
            raise JobError(f"store {self.url}: {key}: {cause_of(error)}") from error


def check_bucket(bucket: str, given: str) -> None:
    """Check the name of a bucket by S3's rule.

    Raises:
        UserError: the name breaks it; ``given`` is what its line begins with.
    """
    if not 3 <= len(bucket) <= 63:
        raise UserError(f"{given}: bucket {bucket!r} must be 3 to 63 characters long, and has {len(bucket)}")
    if not _BUCKET.fullmatch(bucket):
        raise UserError(
            f"{given}: bucket {bucket!r} must be of a-z, 0-9, '-' and '.', with a letter or digit at both ends, "
            "and neither '..' nor four numbers"
        )


def open_bucket(bucket: str, prefix: str, environ: Mapping[str, str], make: bool) -> S3Store:
    """Open a bucket; raises UserError where it is missing and not to be made, unreachable, or refuses."""
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError

    url, address = f"s3://{bucket}", endpoint(environ)
    where = without_password(address) if address else "AWS"
    try:
        client = client_of(environ, address)
        _have_bucket(client, bucket, make)
    except (NoCredentialsError, PartialCredentialsError):
        raise UserError(f"store {url}: no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY") from None
    except ClientError as error:
        if code_of(error) == "404":
            raise UserError(f"store {url}: {where} has no such bucket") from None
        if code_of(error) in _REFUSED:
            raise UserError(f"store {url}: {where} refused the credentials, or they may not use this bucket") from None
        raise UserError(f"store {url}: {where} answers: {cause_of(error)}") from None
    except (BotoCoreError, ValueError) as error:
        raise UserError(f"store {url}: cannot reach {where}: {cause_of(error)}") from None
    return S3Store(client, bucket, prefix, lambda: client_of(environ, address))


def _have_bucket(client: Any, bucket: str, make: bool) -> None:
    from botocore.exceptions import ClientError

    try:
        client.head_bucket(Bucket=bucket)
    except ClientError as error:
        if code_of(error) != "404" or not make:
            raise
        make_bucket(client, bucket, client.meta.region_name)


def _in_parts(size: int) -> Any:
    """Have a file sent in parts, of which S3 takes 10,000."""
    from boto3.s3.transfer import TransferConfig

    return TransferConfig(use_threads=False, multipart_chunksize=max(LEAST_PART, size // 9_000))
