"""The Python 3.8 of this machine, or one of the clone's own: uv looks for it, and downloads it.

The standard library alone, under any Python from 3.6 on.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import List, NamedTuple, Optional

from scripts.lib.set_up_steps import Say, SetUpError, run

ABOUT = """
import json, os, platform, sys, sysconfig
print(json.dumps([os.path.realpath(sys.executable), platform.python_version(), sysconfig.get_path("include"),
                  (sysconfig.get_config_var("CC") or "cc").split()[0]]))
"""


class Python(NamedTuple):
    """An interpreter that was seen to run."""

    executable: str  # the file itself, no link and no shim
    version: str  # "3.8.18"
    include: str  # where its Python.h belongs
    compiler: str  # the C compiler that it was built with and would call


def python_3_8(root: Path, uv: Path, say: Say) -> Python:
    """Find the first Python 3.8 that runs here, else one that is downloaded. Raises SetUpError."""
    return find_python(root, uv) or install_python(root, uv, say)


def find_python(root: Path, uv: Path) -> Optional[Python]:
    """Find the first CPython 3.8 that really runs (pyenv's shims may be there and fail); None if none does."""
    looking = [str(uv), "python", "find", "--system", "--no-project", "--no-python-downloads", "cpython-3.8"]
    status, output = run(looking, settings={"PATH": os.pathsep.join(folders(root))})
    return ask_python(output[-1].strip()) if status == 0 and output else None


def folders(root: Path) -> List[str]:
    """List where uv looks besides: this Python's, PATH, what pyenv has, and what an earlier set-up downloaded."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or os.path.expanduser("~/.pyenv"))
    made = [*(pyenv / "versions").glob("3.8.*"), *(root / ".tools" / "python").glob("cpython-3.8.*")]
    newest = sorted(made, key=lambda home: [int(part) for part in re.findall(r"\d+", home.name)[:3]], reverse=True)
    own = os.path.dirname(os.path.realpath(sys.executable))
    return [own, os.environ.get("PATH", ""), *(str(home / "bin") for home in newest)]


def ask_python(executable: str) -> Optional[Python]:
    """Ask the interpreter about itself; None where it does not run."""
    try:
        asked = subprocess.run(
            [executable, "-I", "-c", ABOUT], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=20, check=False
        )
        return Python(*json.loads(asked.stdout.decode()))
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None


def install_python(root: Path, uv: Path, say: Say) -> Python:
    """Download a Python 3.8 of the clone's own, through uv. Raises SetUpError."""
    say("no Python 3.8 here: downloading one into .tools (about 20 MB; UV_PYTHON_INSTALL_MIRROR names a mirror)")
    folder = root / ".tools" / "python"
    status, output = run([str(uv), "python", "install", "--no-bin", "--install-dir", str(folder), "3.8"])
    python = find_python(root, uv) if status == 0 else None
    if python is None:
        said = [re.sub(r"^\s*(cause|error): ", "", line).strip() for line in output if line.strip()]
        reason = said[-1] if status and said else "what was downloaded does not run"
        raise SetUpError(
            "there is no Python 3.8, and none can be downloaded ({}): `pyenv install 3.8` makes one, "
            "UV_PYTHON_INSTALL_MIRROR names a mirror, `scripts/train --engine docker` needs none".format(reason),
            errno=1,
        )
    return python
