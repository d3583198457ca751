"""An account of AWS's own, and what a test has made in it, which is removed whatever becomes of the test."""

from __future__ import annotations

import subprocess
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Iterator, NamedTuple

from scripts.lib import buckets, endpoints, images, pushed_images
from scripts.lib.environments import ROOT


class Live(NamedTuple):
    """The account's session, and the name that everything has which is made in it."""

    session: Any
    name: str
    store: str  # of S3, below a prefix of this name

    def client(self, service: str) -> Any:
        return self.session.client(service)

    def script(self, command: str, *words: str, deadline_s: float = 1800) -> str:
        """What a script prints; it must have done its work."""
        done = subprocess.run(
            [str(ROOT / "scripts" / command), *words], stdout=subprocess.PIPE, text=True, timeout=deadline_s
        )
        assert done.returncode == 0, f"scripts/{command} {' '.join(words)}: status {done.returncode}"
        return done.stdout.strip()


@contextmanager
def account(session: Any, pushes: Path = pushed_images.REMEMBERED) -> Iterator[Live]:
    """What a test may use; all that has the name is removed at the end, and what scripts/push remembers is put back."""
    name = f"{images.NAME}-live-{time.time():.0f}"
    number = session.client("sts").get_caller_identity()["Account"]
    live = Live(session, name, f"s3://sagemaker-{session.region_name}-{number}/{name}")
    before = pushes.read_bytes() if pushes.exists() else b"[]\n"
    with ExitStack() as clean_up:
        for remove in (remove_files, remove_repository, remove_role, remove_endpoint):
            clean_up.callback(remove, live)
        clean_up.callback(lambda: pushes.parent.is_dir() and pushes.write_bytes(before))
        yield live


def remove_endpoint(live: Live) -> None:
    service = live.client("sagemaker")
    assert endpoints.remove(endpoints.find_parts(live.name, service), service) == []


def remove_role(live: Live) -> None:
    iam = live.client("iam")
    try:
        for policy in iam.list_role_policies(RoleName=live.name)["PolicyNames"]:
            iam.delete_role_policy(RoleName=live.name, PolicyName=policy)
        iam.delete_role(RoleName=live.name)
    except iam.exceptions.NoSuchEntityException:
        return


def remove_repository(live: Live) -> None:
    ecr = live.client("ecr")
    try:
        ecr.delete_repository(repositoryName=live.name, force=True)
    except ecr.exceptions.RepositoryNotFoundException:
        return


def remove_files(live: Live) -> None:
    """The bucket is SageMaker's default, and stays."""
    s3 = live.client("s3")
    bucket, prefix = buckets.split(live.store)
    try:
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            found = [{"Key": entry["Key"]} for entry in page.get("Contents", [])]
            if found:
                s3.delete_objects(Bucket=bucket, Delete={"Objects": found})
    except s3.exceptions.NoSuchBucket:
        return
