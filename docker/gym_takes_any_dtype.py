"""Gives Gym 0.22's Box the rule of Gym 0.12: what its shape and bounds take, it takes, whatever the dtype.

AWS's container of 2020 had the old rule. Programs written for it give float64 for a float32 Box, or int64 for a uint32
one, and never failed there; Gym 0.22 says that such an observation lies outside its space, and RLlib ends the job.
Run once, where the image is built: ``python gym_takes_any_dtype.py SITE-PACKAGES``.
"""

from __future__ import annotations

import py_compile
import sys
from pathlib import Path

NEW_RULE = "np.can_cast(x.dtype, self.dtype)\n            and x.shape == self.shape"
OLD_RULE = "x.shape == self.shape"


def main(packages: str) -> None:
    """Patches the one place, and compiles it anew; ends with an error where Gym is not as it is known."""
    file = Path(packages) / "gym" / "spaces" / "box.py"
    text = file.read_text(encoding="utf-8")
    if text.count(NEW_RULE) != 1:
        sys.exit(f"{file}: the rule to replace is not there")
    file.write_text(text.replace(NEW_RULE, OLD_RULE), encoding="utf-8")
    py_compile.compile(str(file), doraise=True)


if __name__ == "__main__":
    main(sys.argv[1])
