"""AWS's launcher of 2021, which a program brings along: what of it goes wrong is said, and left as it is."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, Iterator, Mapping, Optional

HYPERPARAMETERS = Path("sagemaker_rl") / "configuration_list.py"
"""The module of the launcher that reads hyperparameters: of each number it takes what Python's ``int`` makes of it."""
READ = "rl."
"""How those begin that it reads."""


def notes(directory: Optional[Path], hyperparameters: Mapping[str, str]) -> Iterator[str]:
    """Yield a line for each hyperparameter that the launcher changes, or ends by; none where it is not there."""
    if directory is None or not (directory / HYPERPARAMETERS).is_file():
        return
    for key, text in hyperparameters.items():
        value = _decoded(text)
        if key.startswith(READ) and isinstance(value, float) and math.isfinite(value) and value != int(value):
            yield (
                f"WARNING: {key} = {value} becomes {int(value)}: {HYPERPARAMETERS} takes the whole part of a number; "
                f'the string "{value}" in its place, as SageMaker\'s SDK sends it, stays {value}'
            )
        elif key.startswith(READ) and value is None:
            yield f"WARNING: {key} = null ends the program: {HYPERPARAMETERS} takes no null"


def _decoded(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
