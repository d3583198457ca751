"""The names of this machine's jobs in a fraction of a second: for completion, which nobody waits for.

boto3 takes longer to import than a TAB may take, so MinIO's bucket is asked with botocore's signature alone.
"""

from __future__ import annotations

import os
import urllib.request
from contextlib import suppress
from typing import List, Mapping
from xml.etree import ElementTree

from rl_app.errors import JobError
from scripts.lib import compose, dotenv, stores

PATIENCE_S = 0.5


def names(environ: Mapping[str, str] = os.environ) -> List[str]:
    """List the jobs of runs/ and of the compose store, as far as they can be had at once."""
    settings = dotenv.settings(environ)
    found: List[str] = []
    with suppress(JobError):
        found += stores.open_runs(settings).store.folders()
    if not compose.why_away(settings):
        with suppress(OSError, ValueError, ImportError, ElementTree.ParseError):
            found += of_compose(settings)
    return sorted(set(found))


def of_compose(settings: Mapping[str, str]) -> List[str]:
    """List the folders at the top of the compose store's bucket, the first thousand."""
    from botocore.auth import S3SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    bucket, _, prefix = compose.store_url(settings)[len("s3://") :].partition("/")
    prefix = f"{prefix.rstrip('/')}/" if prefix else ""
    environ = compose.environ_of(settings)
    request = AWSRequest(
        "GET",
        f"{environ['AWS_ENDPOINT_URL_S3']}/{bucket}",
        params={"delimiter": "/", "list-type": "2", "prefix": prefix},
    )
    keys = Credentials(environ["AWS_ACCESS_KEY_ID"], environ["AWS_SECRET_ACCESS_KEY"])
    S3SigV4Auth(keys, "s3", environ["AWS_DEFAULT_REGION"]).add_auth(request)
    ready = request.prepare()
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(urllib.request.Request(ready.url, headers=dict(ready.headers)), timeout=PATIENCE_S) as answer:
        tree = ElementTree.parse(answer)
    folders = (found.text or "" for found in tree.iterfind("{*}CommonPrefixes/{*}Prefix"))
    return [folder[len(prefix) :].rstrip("/") for folder in folders]
