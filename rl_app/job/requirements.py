"""A user's requirements.txt: installed for one job alone, with what the image holds held fast, or as it says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import time
from importlib import metadata
from pathlib import Path
from typing import Callable, Dict, List, Mapping, Optional, Sequence

from rl_app.errors import UserError
from rl_app.job.sagemaker import Contract

SETTING = "sagemaker_requirements"
"""The hyperparameter that says whose versions count; one that begins so reaches no program as an argument."""
HELD, MINE = "held", "mine"
INSTALL_DEADLINE_S = 900.0
READ_PTH_FILES = "import os, site\nsite.addsitedir(os.path.dirname(__file__))\n"
"""What Python runs as it starts: it reads no .pth file of PYTHONPATH's folders, and by one `-e ./package` is found."""
BREAKS: Mapping[str, str] = {
    "gym": "another than the image's refuses an observation whose dtype is not its Box's, or draws only by X",
    "numpy": "Ray 0.8.5 needs one below 1.24, and TensorFlow 2.13 one from 1.22",
    "pandas": "Ray 0.8.5 needs one below 2",
    "protobuf": "Ray 0.8.5 needs one below 4, and TensorFlow 2.13 one from 3.20.3",
    "ray": "a model of another than 0.8.5 is none that evaluate and serve know",
    "redis": "Ray 0.8.5 needs one below 3.5",
    "sagemaker-training": "it starts the program, and is started already",
}
"""What stops working with another version of a package than the image's, where that is known."""


def whose(contract: Contract) -> Optional[str]:
    """Return whose versions count, HELD or MINE; None for the built-in job, which needs the image's.

    Raises:
        UserError: the setting has no such value, or the job is not a program of the user's own.
    """
    value = contract.hyperparameters.get(SETTING)
    if value not in (None, HELD, MINE):
        raise UserError(f"{SETTING} = {value}: must be {HELD} or {MINE}")
    if value == MINE and not contract.program:
        raise UserError(f"{SETTING} = {MINE}: goes with a program of your own; the built-in job needs the image's")
    return (value or HELD) if contract.program else None


def install(
    directory: Path, packages: Path, whose: Optional[str] = None, say: Callable[[str], object] = print
) -> Optional[Path]:
    """Install a directory's requirements.txt; return where its modules are, None where there is no such file.

    Paths in it are below the directory.

    Args:
        say: is told that it takes its time, and what came of it.

    Raises:
        UserError: pip's reason; for a conflict, with both versions, and with the setting where that helps.
    """
    file, packages = directory.absolute() / "requirements.txt", packages.absolute()
    if not file.exists():
        return None
    packages.mkdir(parents=True, exist_ok=True)
    say("requirements.txt: installing what it asks for")
    began = time.monotonic()
    try:
        done = _pip(file, packages) if whose == MINE else _pip_held(file, packages)
    except subprocess.TimeoutExpired:
        raise UserError(f"{file}: pip has not ended in {INSTALL_DEADLINE_S:.0f} s") from None
    if done.returncode != 0:
        reason = _reason(done.stdout)
        helps = whose == HELD and "the image holds" in reason
        raise UserError(f"{file}: {reason}{f'; {SETTING}={MINE} installs it all the same' if helps else ''}")
    modules = modules_in(packages)
    if any(modules.glob("*.pth")):
        (modules / "sitecustomize.py").write_text(READ_PTH_FILES)
    brought = ", ".join(f"{name} {version}" for name, version in sorted(installed([str(modules)]).items()))
    say(f"requirements.txt: {brought or 'all is there'}, after {time.monotonic() - began:.0f} s")
    return modules


def modules_in(packages: Path) -> Path:
    """Return the folder of the modules that were installed."""
    return next(packages.glob("lib/python*/site-packages"), packages)


def installed(path: Sequence[str] = sys.path) -> Dict[str, str]:
    """Return the packages of a module path, and of each the version that is imported.

    The first of a name is: setuptools puts others behind it on the path, of its own and of other versions.
    """
    found: Dict[str, str] = {}
    for each in metadata.distributions(path=list(path)):
        found.setdefault(re.sub(r"[-_.]+", "-", each.metadata["Name"]).lower(), each.version)
    return found


def notes(packages: Path) -> List[str]:
    """Return a line for each package that is there in another version than the image's, with what that breaks."""
    theirs = installed([str(modules_in(packages))])
    ours = installed() if theirs else {}
    return [
        f"WARNING: requirements.txt has {name} {version} in place of the image's {ours[name]}: "
        f"{BREAKS.get(name, 'this image was tested with its own')}"
        for name, version in sorted(theirs.items())
        if version != ours.get(name, version)
    ]


_PIP = ("-m", "pip", "install", "--no-input", "--disable-pip-version-check")


def _pip_held(file: Path, packages: Path) -> subprocess.CompletedProcess[str]:
    held = packages / "constraints.txt"
    held.write_text("".join(f"{name}=={version}\n" for name, version in installed().items()))
    place = ["--prefix", str(packages), "--constraint", str(held)]
    return _run([sys.executable, *_PIP, *place, *_asked_for(file)], file)


def _pip(file: Path, packages: Path) -> subprocess.CompletedProcess[str]:
    """Install in a virtual environment that sees the image's packages: pip removes none that lie outside its own."""
    made = _run([sys.executable, "-m", "venv", "--without-pip", str(packages)], file)
    if made.returncode != 0:
        return made
    pip = [str(packages / "bin" / "python"), *_PIP, *_asked_for(file)]
    return _run(pip, file, PYTHONPATH=sysconfig.get_path("purelib"))


def _asked_for(file: Path) -> List[str]:
    """Return the words for what the file asks for; the old way of `-e` leaves no .pth file outside of Python's own."""
    editable = re.search(r"^\s*(-e|--editable)\b", file.read_text(errors="replace"), re.MULTILINE)
    return [*(["--use-pep517"] if editable else []), "-r", str(file)]


def _run(command: List[str], file: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        universal_newlines=True,
        timeout=INSTALL_DEADLINE_S,
        cwd=file.parent,
        env={**os.environ, **variables},
    )


def _reason(output: str) -> str:
    """Return the lines of pip's output that say why, as one."""
    lines = [line.strip() for line in output.splitlines()]
    conflict = [
        line.replace("The user requested", "asked for") for line in lines if line.startswith("The user requested")
    ]
    if conflict:
        return "; ".join(conflict).replace("asked for (constraint)", "the image holds")
    errors = [line[len("ERROR: ") :] for line in lines if line.startswith("ERROR: ")]
    # of which pip says in the end that it knows no such package
    away = re.search(r"connection broken by '(\w+)", output)
    unreached = f"; the index of packages cannot be reached ({away[1]})" if away else ""
    return f"{errors[-1] if errors else 'pip failed'}{unreached}"
