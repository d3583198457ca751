"""Which of SageMaker's instance types can run this image, told from the type's name by AWS's own rule for names."""

from __future__ import annotations

import re
from typing import Dict, List, NamedTuple, Optional, Sequence, Union

from rl_app.errors import UserError

# ml.FAMILY GENERATION ATTRIBUTES.SIZE, as in ml.c6gn.xlarge; an attribute g is Graviton, AWS's own ARM processor
NAME = re.compile(r"ml\.(?P<family>[a-z]+)(?P<generation>[0-9]+)(?P<attributes>[a-z0-9-]*)\.(?P<size>[a-z0-9-]+)")
CHIPS = {"inf": "AWS Inferentia", "trn": "AWS Trainium", "dl": "Gaudi or Qualcomm", "vt": "Xilinx"}
ON_X86 = {"g": "5", "t": "3"}
LAST_WITH_INTEL = 7


def check(name: str) -> None:
    """Refuse an instance of another processor than x86-64, or with other accelerators than NVIDIA's.

    Raises:
        UserError: with an instance of the same family that this image runs on.
    """
    parts = NAME.fullmatch(name)
    what = parts and _foreign(parts)
    if parts and what:
        raise UserError(f"{name}: {what}; this image is linux/amd64, such as for {_instead(parts)}")


def _foreign(parts: re.Match[str]) -> Optional[str]:
    """Say what the instance has that the image is not made for; None where there is nothing of the kind."""
    family, attributes = parts["family"], parts["attributes"]
    if family in CHIPS:
        return f"a machine for {CHIPS[family]}"
    # Without what stands behind a hyphen, a name of NVIDIA's: GB200 is Grace, of ARM, and Blackwell
    if family == "a" or "g" in attributes.partition("-")[0] or attributes.partition("-")[2].startswith("gb"):
        return "an ARM machine"
    if family == "g" and "a" in attributes:
        return "a machine with AMD's GPUs"
    return None


def _instead(parts: re.Match[str]) -> str:
    """Name the nearest of its kind with x86-64, and NVIDIA's GPUs where it has any."""
    family, generation, size = parts["family"], int(parts["generation"]), parts["size"]
    if family in CHIPS or family == "a" or "-" in parts["attributes"]:
        return "ml.g5.xlarge" if family != "a" else "ml.c5.xlarge"
    if family in ON_X86:
        return f"ml.{family}{ON_X86[family]}.{'xlarge' if family == 'g' else size}"
    kind = f"{min(generation, LAST_WITH_INTEL)}i" if generation >= 6 else "5"
    return f"ml.{family}{kind}.{size}"


# ---- what SageMaker trains on ----


def check_for_training(name: str, known: Sequence[str]) -> None:
    """Refuse what is no instance type; one of a family that boto3 does not know may be newer than boto3.

    Raises:
        UserError: with the sizes that the family has.
    """
    if not re.fullmatch(r"ml\.[a-z0-9-]+\.[a-z0-9-]+", name):
        raise UserError(f"--instance-type {name}: expected one such as ml.c5.xlarge")
    check(name)
    family = name.rpartition(".")[0] + "."
    sizes = [other[len(family) :] for other in known if other.startswith(family)]
    if sizes and name not in known:
        raise UserError(f"--instance-type {name}: unknown; {family[:-1]} has {', '.join(sizes)}")


def known_for_training() -> List[str]:
    """List those that this boto3 knows; a client would look for credentials, over the network too."""
    import botocore.session

    model = botocore.session.get_session().get_service_model("sagemaker")
    return list(model.shape_for("TrainingInstanceType").enum)


# ---- several kinds in one job ----

MOST_GROUPS = 5  # of SageMaker's heterogeneous clusters


class InstanceGroup(NamedTuple):
    """Instances of one type in a job of several, as SageMaker's heterogeneous clusters have them."""

    name: str
    instance_type: str
    instances: int

    def request(self) -> Dict[str, Union[str, int]]:
        """Write it as CreateTrainingJob takes it."""
        return {
            "InstanceType": self.instance_type,
            "InstanceCount": self.instances,
            "InstanceGroupName": self.name,
        }


def groups(words: Sequence[str]) -> List[InstanceGroup]:
    """Read groups, each as ``NAME:TYPE:COUNT``; raises UserError."""
    found = [_group(word) for word in words]
    names = [group.name for group in found]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"--instance-group {name}: given twice")
    if len(found) > MOST_GROUPS:
        raise UserError(f"--instance-group: {len(found)} groups; SageMaker takes at most {MOST_GROUPS}")
    return found


def _group(word: str) -> InstanceGroup:
    parts = re.fullmatch(r"(?P<name>[^:]{1,64}):(?P<type>ml\.[^:]+):(?P<count>[1-9][0-9]*)", word)
    if parts is None:
        raise UserError(f"--instance-group {word}: expected NAME:TYPE:COUNT, such as workers:ml.c5.4xlarge:3")
    return InstanceGroup(parts["name"], parts["type"], int(parts["count"]))
