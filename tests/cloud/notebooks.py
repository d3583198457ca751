"""What the outputs of the example notebook depend on, and what of them is kept; the standard library alone."""

from __future__ import annotations

import hashlib
import json
import re
import sys
from pathlib import Path
from typing import Any, Dict, List

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from rl_app.experiments import EXPERIMENTS  # noqa: E402
from rl_app.machine import Machine  # noqa: E402

PACKAGES = {
    "image-cpu": ("ray", "tensorflow-cpu", "gym", "numpy", "onnxruntime"),
    "sdk": ("sagemaker",),
}
"""The packages of each lock that decide over what the cells print and draw."""
EXPERIMENT = "cartpole"
"""What the notebook trains; its trial counts, not how the file is written."""
MACHINE = Machine(cpus=2, gpus=0)


def code_cells(notebook: Dict[str, Any]) -> List[Dict[str, Any]]:
    """The cells that hold code."""
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def made_from(notebook: Dict[str, Any]) -> Dict[str, str]:
    """The cells, the experiment and the versions: where one changes, the notebook has to be run again."""
    cells = "\n".join("".join(cell["source"]) for cell in code_cells(notebook))
    return {
        "cells": digest(cells),
        **{f"{name} {package}": pin(name, package) for name, packages in PACKAGES.items() for package in packages},
        EXPERIMENT: digest(json.dumps(EXPERIMENTS[EXPERIMENT].on(MACHINE), sort_keys=True)),
    }


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def pin(lock: str, package: str) -> str:
    """The version of a package in a lock."""
    text = (ROOT / "docker" / "requirements" / f"{lock}.txt").read_text()
    found = re.search(rf"^{re.escape(package)}==(\S+)", text, re.MULTILINE)
    assert found, f"{lock}.txt has no {package}"
    return found[1]


NOISE = re.compile(
    r"sagemaker\.config INFO|WARNING:|time=\S+ level=warning|Aborting on|Attaching to"
    r"|\s*(?:Container|Network|Volume) \S+ +\w+$"
)
"""Lines of the SDK and of compose that say nothing of the job, and name the machine."""
CONTROL = re.compile(r"\x1b\[[0-9;]*[A-Za-z]|\r")


def tidy(notebook: Dict[str, Any]) -> None:
    """Takes out what a reader has no use for: the SDK's noise, a video, which pages leave out, and second formats."""
    for cell in code_cells(notebook):
        cell["metadata"].pop("execution", None)
        printed, shown = [], []
        for output in cell["outputs"]:
            data = output.get("data", {})
            if output.get("name") == "stdout":
                printed += CONTROL.sub("", "".join(output["text"])).splitlines()
            elif "<video" not in "".join(data.get("text/html", "")) and data:
                data.pop("image/jpeg", None)
                shown.append(output)
        lines = [f"{line}\n" for line in printed if line.strip() and not NOISE.match(line)]
        streams = [{"name": "stdout", "output_type": "stream", "text": "".join(lines)}] if lines else []
        cell["outputs"] = [*streams, *shown]
