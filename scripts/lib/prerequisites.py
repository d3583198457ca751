"""What a machine must have to train in a process: a system that Ray 0.8.5 has a wheel for, and a C compiler.

The standard library alone, under any Python from 3.6 on.
"""

import os
import platform
import shutil
import subprocess
from typing import Optional

from scripts.lib.interpreters import Python
from scripts.lib.set_up_steps import SetUpError

PACKAGES = {
    "compiler": {"apt-get": "build-essential", **dict.fromkeys(("dnf", "yum", "zypper", "pacman"), "gcc")},
    "headers": {"apt-get": "python3.8-dev", **dict.fromkeys(("dnf", "yum", "zypper"), "python38-devel")},
    "pip": {
        "apt-get": "python3-venv",
        **dict.fromkeys(("dnf", "yum", "zypper"), "python3-pip"),
        "pacman": "python-pip",
    },
}


def check_platform(system: str = "", machine: str = "", libc: str = "") -> None:
    """Raise SetUpError where Ray 0.8.5 has no wheel. The arguments are this machine's, by default."""
    system = system or platform.system()
    machine = machine or platform.machine()
    libc = libc or platform.libc_ver()[0] or "a libc of its own"
    if system == "Linux" and machine == "x86_64" and libc == "glibc":
        return
    here = "{} on {} with {}".format(system, machine, libc) if system == "Linux" else "{} on {}".format(system, machine)
    raise SetUpError(
        "Ray 0.8.5 has wheels for Linux on x86_64 with glibc only, and this is {}: no process trains or serves here. "
        "What works: Docker, with an engine for linux/amd64 images: `scripts/train --engine docker`, "
        "`scripts/serve --engine docker`, `docker compose up board`".format(here)
    )


def compiler_of(python: Optional[Python]) -> Optional[str]:
    """Find the C compiler for builds: $CC, the one that the interpreter was built with, or what there is."""
    wanted = os.environ.get("CC", "").split()[:1] or ([python.compiler] if python else [])
    return next(filter(None, map(shutil.which, wanted + ["cc", "gcc", "clang"])), None)


def check_compiler(python: Optional[Python]) -> None:
    """Raise SetUpError where the C extension of sagemaker-training, which has no wheel, cannot be built."""
    reason = "sagemaker-training has no wheel and is built here"
    compiler = compiler_of(python)
    if compiler is None or not compiles(compiler, "#include <stdio.h>"):
        raise SetUpError("a working C compiler is missing ({}): install {}".format(reason, package("compiler")))
    if python is not None and not compiles(compiler, "#include <Python.h>", "-I" + python.include):
        raise SetUpError(
            "the headers of {} are missing ({}): install {}".format(python.executable, reason, package("headers"))
        )


def compiles(compiler: str, source: str, *options: str) -> bool:
    """Tell whether the compiler takes a source text."""
    command = [compiler, *options, "-fsyntax-only", "-x", "c", "-"]
    silent = subprocess.DEVNULL
    done = subprocess.run(command, input=source.encode() + b"\n", stdout=silent, stderr=silent, check=False)
    return done.returncode == 0


def package(what: str) -> str:
    """Say what the user types for what only the system can install."""
    names = PACKAGES[what]
    for manager, name in names.items():
        if shutil.which(manager):
            verb = "-S" if manager == "pacman" else "install"
            return "{} with `{} {} {}`".format(name, manager, verb, name)
    return " or ".join(sorted(set(names.values())))
