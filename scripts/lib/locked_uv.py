"""The locked uv, in .tools: installed by whichever of uv and pip works here.

The standard library alone, under any Python from 3.6 on.
"""

import shutil
import sys
from pathlib import Path
from typing import Iterator, List

from scripts.lib.prerequisites import package
from scripts.lib.set_up_steps import Say, SetUpError, fingerprint, lock_file, run

DOWNLOAD_MB = 18


def uv_folder(root: Path) -> Path:
    """Return where the locked uv is, or will be."""
    return root / ".tools" / ("uv-" + fingerprint(root, "uv")[:12])


def install_uv(root: Path, say: Say) -> Path:
    """Install the locked uv, hash-checked, by whichever of uv and pip works here. Raises SetUpError."""
    folder = uv_folder(root)
    uv = folder / "bin" / "uv"
    if uv.exists():
        return uv
    say("installing uv into .tools ({} MB)".format(DOWNLOAD_MB))
    for old in folder.parent.glob("uv-*"):
        shutil.rmtree(str(old))
    unfinished = folder.parent / "uv-unfinished"
    said = []
    for installer in installers(root):
        command = [*installer, "--target", str(unfinished), "--no-deps", "--require-hashes", "--only-binary", ":all:"]
        status, output = run([*command, "-r", str(lock_file(root, "uv"))])
        if status == 0:
            unfinished.rename(folder)
            return uv
        said += output
        shutil.rmtree(str(unfinished), ignore_errors=True)
    if not said:
        raise SetUpError("neither pip nor uv is there to install from the locks: install " + package("pip"))
    raise SetUpError("uv could not be installed:\n" + "\n".join(said), errno=1)


def installers(root: Path) -> Iterator[List[str]]:
    """Yield the commands that can install the locked uv, as far as they are there."""
    found = shutil.which("uv")
    if found:
        yield [found, "pip", "install", "--python", sys.executable]
    python = sys.executable
    if run([python, "-m", "pip", "--version"])[0] != 0:
        made = root / ".tools" / "pip"
        if run([python, "-m", "venv", "--clear", str(made)])[0] != 0:
            return
        python = str(made / "bin" / "python")
    # uv is a program in a wheel: it runs beside any Python, also one older than the wheel asks for.
    yield [python, "-m", "pip", "install", "--disable-pip-version-check", "--ignore-requires-python"]
