"""The bucket that jobs read and write: where it is, and made where it is missing."""

from __future__ import annotations

import re
from typing import Any, List, Optional, Tuple

from rl_app.errors import UserError
from rl_app.storage.s3 import check_bucket
from rl_app.storage.s3_client import make_bucket
from scripts.lib import aws, cli

STORE = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(/[^/].*?)?/*")


def default(region: str, account: str) -> str:
    """Return SageMaker's own default."""
    return f"sagemaker-{region}-{account}"


def split(store: str) -> Tuple[str, str]:
    """Return the bucket of s3://BUCKET[/PREFIX], and what its keys begin with."""
    bucket, _, prefix = store[len("s3://") :].partition("/")
    return bucket, f"{prefix}/" if prefix else ""


def check_store(store: str) -> None:
    """Raise UserError for what is no s3://BUCKET[/PREFIX]."""
    scheme, _, rest = store.partition("://")
    if scheme == "s3" and rest:
        check_bucket(rest.partition("/")[0], f"--store {store}")
    if not STORE.fullmatch(store):
        raise UserError(f"--store {store}: must be s3://BUCKET[/PREFIX]")


def check_region(bucket: str, there: Optional[str], region: str) -> None:
    """Raise UserError where the bucket is in another region than the job."""
    if there not in (None, region):
        raise UserError(f"bucket {bucket}: it is in {there}, and the job in {region}; --store names another")


def region_of(s3: Any, bucket: str) -> Optional[str]:
    """Ask for the region of a bucket; None where there is no such bucket. Raises UserError, JobError."""
    from botocore.exceptions import ClientError

    with aws.translate_errors(f"bucket {bucket}"):
        try:
            told = s3.head_bucket(Bucket=bucket).get("BucketRegion")
            # us-east-1 has no name in S3
            return told or str(s3.get_bucket_location(Bucket=bucket)["LocationConstraint"] or "us-east-1")
        except ClientError as error:
            if aws.code_of(error) in ("404", "NoSuchBucket"):
                return None
            raise


def ensure(s3: Any, bucket: str, region: str) -> List[str]:
    """Make the bucket where it is missing, closed to the public; return what was made.

    Raises:
        UserError: it is another's, or in another region.
    """
    there = region_of(s3, bucket)
    check_region(bucket, there, region)
    if there:
        return []
    with aws.translate_errors(f"bucket {bucket}"):
        make_bucket(s3, bucket, region)
    cli.note(f"made the bucket {bucket}")
    closed = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
    with aws.translate_errors(f"bucket {bucket}", [f"bucket {bucket}"]):
        s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=dict.fromkeys(closed, True))
    return [f"bucket {bucket}"]
