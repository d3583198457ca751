"""Batches as files that RLlib's JsonReader reads: a line each."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Dict, Iterable, List

from rl_app.errors import UserError
from rl_app.files import TEMPORARY, scratch_folder

MOST_BYTES = 64 << 20
"""Of one file, as RLlib's own writer has it."""


def write(batches: Iterable[Dict[str, Any]], folder: Path) -> List[int]:
    """Write the batches into a new folder, which is there whole or not at all; return the steps of each.

    Raises:
        UserError: there is something of that name already, or it cannot be written.
    """
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise UserError(f"{folder}: is there already; give a new directory, or remove it")
    try:
        with scratch_folder(folder.parent / f"{TEMPORARY}{folder.name}") as beside:
            steps = _write(batches, beside)
            if not steps:
                raise UserError(f"{folder}: nothing to write: no episode has a step whose next observation is known")
            os.replace(beside, folder)
    except OSError as error:
        raise UserError(f"{folder}: cannot be written: {error.strerror}") from None
    return steps


def _write(batches: Iterable[Dict[str, Any]], folder: Path) -> List[int]:
    steps: List[int] = []
    file, number = None, 0
    try:
        for batch in batches:
            if file is None or file.tell() > MOST_BYTES:
                number += 1
                if file:
                    file.close()
                file = (folder / f"episodes-{number:05}.json").open("w", encoding="utf-8")
            file.write(json.dumps(batch) + "\n")
            steps.append(len(batch["rewards"]))
    finally:
        if file:
            file.close()
    return steps
