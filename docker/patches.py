"""Patches packages of the image for programs that were written for AWS's container of 2020.

Run once, where the image is built: ``python patches.py SITE-PACKAGES [FILE…]``; without a file, all of them.
"""

from __future__ import annotations

import py_compile
import sys
from pathlib import Path
from typing import Mapping, NamedTuple, Sequence


class Patch(NamedTuple):
    """A text that stands in a file once, and what takes its place."""

    old: str
    new: str


PATCHES: Mapping[str, Patch] = {
    # Gym 0.12's rule: what the shape and bounds of a Box take, it takes, whatever the dtype. Programs of its time give
    # float64 for a float32 Box, or int64 for a uint32 one; Gym 0.22 says that such an observation lies outside its
    # space, and RLlib ends the job.
    "gym/spaces/box.py": Patch(
        "np.can_cast(x.dtype, self.dtype)\n            and x.shape == self.shape",
        "x.shape == self.shape",
    ),
    # RLlib's own export writes a graph that TensorFlow 2.1 does not read, and whose action is a sample.
    "ray/rllib/agents/trainer.py": Patch(
        "        self.workers.local_worker().export_policy_model(export_dir, policy_id)\n",
        "        from rl_app.policy.rllib_export import export_policy_model\n"
        "        export_policy_model(self, export_dir, policy_id)\n",
    ),
}


def main(packages: str, files: Sequence[str]) -> None:
    """Patch the files, and compile them anew; ends with an error where one is not as it is known."""
    for name in files or PATCHES:
        file, patch = Path(packages) / name, PATCHES[name]
        text = file.read_text(encoding="utf-8")
        if text.count(patch.old) != 1:
            sys.exit(f"{file}: the text to replace is not there")
        file.write_text(text.replace(patch.old, patch.new), encoding="utf-8")
        py_compile.compile(str(file), doraise=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
