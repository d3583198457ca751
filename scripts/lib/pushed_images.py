"""The images that were pushed: what `scripts/push` remembers of them, and which of them a job or an endpoint runs."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Dict, List, Mapping, Sequence

from rl_app.errors import UserError
from rl_app.files import write_text
from scripts.lib import aws, placeholders
from scripts.lib.environments import ROOT
from scripts.lib.images import NAME, Image
from scripts.lib.placeholders import Placeholders

REMEMBERED = ROOT / "build" / "pushed.json"
ECR_IMAGE = re.compile(
    r"(?P<account>[0-9]{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.[a-z.]+/"
    r"(?P<repository>[^:@]+)(:(?P<tag>[^@]+))?(@(?P<digest>sha256:.+))?"
)
NOT_IN_ECR = ("ImageNotFoundException", "RepositoryNotFoundException")


def record(image: Image, uri: str, digest: str) -> Dict[str, str]:
    """Return what is remembered of a push."""
    registry, _, repository = uri.partition("/")
    return {
        "registry": registry,
        "repository": repository,
        "flavor": image.flavor,
        "tag": image.tag,
        "digest": digest,
        "uri": f"{uri}@{digest}",
    }


def remember(pushed: Mapping[str, str], file: Path) -> None:
    """Put a push in the place of the last one to the same registry, repository and flavor."""
    same = ("registry", "repository", "flavor")
    others = [known for known in remembered(file) if any(known[key] != pushed[key] for key in same)]
    file.parent.mkdir(exist_ok=True)
    write_text(file, json.dumps([*others, pushed], indent=2) + "\n")


def remembered(file: Path) -> List[Dict[str, str]]:
    """Return what was pushed, the latest last."""
    try:
        known: List[Dict[str, str]] = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    return known


def flavor_of(instance_type: str) -> str:
    """Tell which image an instance runs."""
    return "gpu" if re.match(r"ml\.[pg][0-9]", instance_type) else "cpu"


def last(flavor: str, region: str, pushes: Sequence[Mapping[str, str]], flag: str = "--image") -> str:
    """Return the image of this kind in the region's ECR, by its digest; raises UserError where none was pushed.

    ``flag`` is the one that names another image.
    """
    ours = [pushed for pushed in pushes if pushed["flavor"] == flavor and ".dkr.ecr." in pushed["registry"]]
    here = [pushed for pushed in ours if f".dkr.ecr.{region}." in pushed["registry"]]
    if here:
        return here[-1]["uri"]
    elsewhere = f", though one is in {ours[-1]['registry'].split('.')[3]}" if ours else ""
    raise UserError(f"no {flavor} image was pushed to {region}{elsewhere}: scripts/push {flavor}, or {flag} URI")


def of_request(instance_type: str, region: str, open_values: Placeholders, flag: str) -> str:
    """Return the image for the instance that was pushed last, or in a dry run a placeholder; raises UserError."""
    flavor, pushes = flavor_of(instance_type), remembered(REMEMBERED)
    placeholder = placeholders.image_in_ecr(NAME, flavor, region)
    return open_values.known(lambda: last(flavor, region, pushes, flag), placeholder)


def check(image: str, session: Any) -> None:
    """Raise UserError where the region's ECR does not have the image: a job would fail minutes later.

    Who may not ask is not stopped: the job's role is another.
    """
    found = ECR_IMAGE.fullmatch(image)
    if not found or found["region"] != session.region_name:
        return
    identity = {"imageDigest": found["digest"]} if found["digest"] else {"imageTag": found["tag"] or "latest"}
    ecr = aws.client(session, "ecr")
    try:
        with aws.translate_errors(f"image {image}"):
            ecr.describe_images(registryId=found["account"], repositoryName=found["repository"], imageIds=[identity])
    except UserError as error:
        if aws.code_of(error.__cause__) not in NOT_IN_ECR:
            return
        raise UserError(f"{error}: scripts/push puts it there, --image names another") from None
