"""`scripts/doctor`: whether this machine has what build, push, launch and deploy need, line by line."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import Any, Callable, Iterator, NamedTuple, Optional, Sequence

from rl_app.errors import JobError, UserError
from scripts.lib import aws, buckets, cli, engine, execution_role, images, pushed_images
from scripts.lib.environments import ROOT

BUILD_GB = 10
"""What the CPU image takes while it is built; the GPU image twice that."""

EXAMPLES = """
examples:
  scripts/doctor           all there is to check; AWS is asked, nothing is made
  scripts/doctor --local   this machine only

A line a check: what was found, or what is missing and how to get it.
Exit status: 0 nothing is missing, 2 something is.
"""


class Finding(NamedTuple):
    """What came of a check; ``missing`` is what to do about it, None where all is well."""

    what: str
    found: str
    missing: Optional[str] = None


@cli.command
def main(arguments: Sequence[str], open_session: Callable[[], Any] = aws.session) -> int:
    """Run the checks and print each; return the exit status."""
    options = parse(arguments)
    status = 0
    for finding in check_machine() if options.local else (*check_machine(), *check_aws(open_session)):
        print(f"{'missing' if finding.missing else 'ok':<8} {finding.what:<12} {finding.missing or finding.found}")
        status = 2 if finding.missing else status
    return status


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = cli.parser("doctor", "Check what the other scripts need.", EXAMPLES)
    parser.add_argument("--local", action="store_true", help="ask AWS nothing")
    return parser.parse_args(list(arguments))


def check_machine() -> Iterator[Finding]:
    """Check Docker, git and what a GPU takes."""
    reason = engine.why_not() or engine.refusal(["docker", "buildx", "version"])
    to_do = "" if shutil.which("docker") else "install Docker: "
    yield Finding("docker", "an engine, compose and buildx answer", reason and f"{to_do}{reason}")
    if not reason:
        yield from check_disk(Path(engine.answer(["docker", "info", "--format", "{{.DockerRootDir}}"])))
    yield finding("git", lambda: images.revision_of(ROOT).short)
    if shutil.which("nvidia-smi"):
        toolkit = shutil.which("nvidia-container-toolkit") or shutil.which("nvidia-container-cli")
        wanted = None if toolkit else "there is a GPU: install nvidia-container-toolkit, so that containers see it"
        yield Finding("gpu", "nvidia-container-toolkit is there", wanted)


def check_disk(images: Path) -> Iterator[Finding]:
    """Check where Docker keeps its images; not to be seen where the engine is in a virtual machine."""
    if not images.is_dir():
        return
    free = shutil.disk_usage(images).free / 1e9
    wanted = f"{free:.1f} GB are free in {images}, and an image takes {BUILD_GB}: `docker system prune` makes room"
    yield Finding("disk", f"{free:.1f} GB are free in {images}", wanted if free < BUILD_GB else None)


def check_aws(open_session: Callable[[], Any]) -> Iterator[Finding]:
    """Check region, credentials, SageMaker, image, role, bucket; what hangs on a thing that is missing is left out."""
    session = open_session()
    region = finding("region", lambda: aws.region_of(session))
    yield region
    if region.missing:
        return
    account = finding("credentials", lambda: aws.account_of(session))
    yield account
    pushed = pushed_images.remembered(pushed_images.REMEMBERED)
    image = finding("image", lambda: pushed_images.last("cpu", region.found, pushed))
    if account.missing:
        yield image
        return
    yield image if image.missing else finding("image", lambda: image_found(image.found, session))
    yield finding("sagemaker", lambda: jobs_found(aws.client(session, "sagemaker")))
    yield finding("role", lambda: execution_role.arn_of(None, session))
    bucket = buckets.default(region.found, account.found)
    yield finding("bucket", lambda: bucket_found(aws.client(session, "s3"), bucket, region.found))


def image_found(image: str, session: Any) -> str:
    """Return the image, where ECR has it still. Raises UserError, JobError."""
    pushed_images.check(image, session)
    return image


def jobs_found(service: Any) -> str:
    """Say what there is to say of SageMaker, which answers. Raises UserError, JobError."""
    with aws.translate_errors("SageMaker's jobs"):
        service.list_training_jobs(MaxResults=1)
    return "it answers"


def bucket_found(s3: Any, bucket: str, region: str) -> str:
    """Say what there is to say of the default bucket. Raises UserError, JobError."""
    there = buckets.region_of(s3, bucket)
    buckets.check_region(bucket, there, region)
    return bucket if there else f"{bucket} is made by the first launch"


def finding(what: str, ask: Callable[[], str]) -> Finding:
    """Ask a question; the finding is its answer, or the reason why there is none."""
    try:
        return Finding(what, ask())
    except (UserError, JobError) as error:
        return Finding(what, "", str(error))
