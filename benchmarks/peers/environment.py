"""Environments of what is measured against, made where they are not there."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from benchmarks import measuring
from scripts.lib import environments, locked_uv, set_up_steps


def python_of(lock: str, base: str) -> str:
    """Return the Python of an environment in .tools/ with what benchmarks/requirements/LOCK names.

    Args:
        base: the Python that it is made of: a version, or a path.
    """
    file = measuring.REPOSITORY / "benchmarks" / "requirements" / lock
    fingerprint = hashlib.sha256(file.read_bytes()).hexdigest()[:12]
    environment = measuring.REPOSITORY / ".tools" / f"{file.stem}-{fingerprint}"
    if not environment.exists():
        _make(environment, file, base)
    return str(environments.interpreter(environment))


def _make(environment: Path, lock: Path, base: str) -> None:
    say = set_up_steps.Narrator()
    with set_up_steps.exclusive(measuring.REPOSITORY, say):
        uv = str(locked_uv.install_uv(measuring.REPOSITORY, say))
        unfinished = environment.with_name(f"{lock.stem}-unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        say(f"installing {lock.name} into .tools")
        create = [uv, "venv", "--quiet", "--no-project", "--relocatable", "--python", base, str(unfinished)]
        set_up_steps.check(f"Python {base}", *set_up_steps.run(create, say))
        install = [uv, "pip", "sync", "--require-hashes", "--compile-bytecode"]
        install += ["--python", str(environments.interpreter(unfinished)), str(lock)]
        set_up_steps.check(lock.name, *set_up_steps.run(install, say))
        unfinished.rename(environment)
