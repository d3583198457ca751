"""Makes the virtual environments of the scripts, from the hashed locks.

It runs before anything is installed: the standard library alone, under any Python from 3.6 on.

    .venv/         trains and tests in a process: Python 3.8, linux/amd64, a C compiler
    .venv-host/    what the other scripts need: any Python from 3.8 on, Linux or macOS, no compiler
    .tools/        uv, the lock that keeps two set-ups apart, and a Python 3.8 where the machine has none

The `set-up.json` of an environment says from which locks it is made, and is empty until it is.
"""

import glob
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

ROOT = Path(__file__).resolve().parent.parent
IMAGE = "image-cpu"
TEST = "test"
HOST = "host"

# pip's settings (mirrors, certificates) are the user's, apart from two that --target does not go with.
PIP_SETTINGS = {"PIP_USER": "0", "PIP_REQUIRE_VIRTUALENV": "0"}
# uv does not read pip's settings; who has set these has a reason to.
PIP_TO_UV = {
    "PIP_INDEX_URL": "UV_DEFAULT_INDEX",
    "PIP_EXTRA_INDEX_URL": "UV_INDEX",
    "PIP_CERT": "SSL_CERT_FILE",
}

PACKAGES = {
    "compiler": {"apt-get": "build-essential", "dnf": "gcc", "yum": "gcc", "zypper": "gcc", "pacman": "gcc"},
    "headers": {
        "apt-get": "python3.8-dev",
        "dnf": "python38-devel",
        "yum": "python38-devel",
        "zypper": "python38-devel",
    },
    "pip": {
        "apt-get": "python3-venv",
        "dnf": "python3-pip",
        "yum": "python3-pip",
        "zypper": "python3-pip",
        "pacman": "python-pip",
    },
}

Say = Callable[[str], None]


class SetUpError(Exception):
    """Why there is no environment. `errno` is the exit status: 2 for what the user can fix, else 1."""

    def __init__(self, message: str, errno: int = 2) -> None:
        super().__init__(message)
        self.errno = errno


class Python(NamedTuple):
    """An interpreter that was seen to run."""

    executable: str  # the file itself, no link and no shim
    version: str  # "3.8.18"
    include: str  # where its Python.h belongs
    compiler: str  # the C compiler that it was built with and would call


def ensure(locks: Sequence[str], root: Path = ROOT, say: Optional[Say] = None) -> Path:
    """Makes the environment of `locks` (of docker/requirements) hold what they name, and returns its interpreter.

    Costs milliseconds where it is up to date. Raises SetUpError.
    """
    environment = environment_of(root, locks)
    if is_current(root, locks):
        return interpreter(environment)
    say = say or Narrator()
    if HOST not in locks:
        check_platform()
    with alone(root, say):
        if not is_current(root, locks):
            python, uv = prepare_host(root, say) if HOST in locks else prepare_image(root, say)
            say("Python {} at {}".format(python.version, python.executable))
            install(root, locks, python, uv, say)
            say("done")
    return interpreter(environment)


def become_host(root: Path = ROOT) -> None:
    """Starts the script that runs again in the environment of the host lock; returns in there. Raises SetUpError."""
    if sys.prefix == str(environment_of(root, [HOST])) and is_current(root, [HOST]):
        return
    python = str(ensure([HOST], root))
    sys.stdout.flush()
    # -X utf8: what the scripts print is UTF-8, in an environment without a locale too
    os.execv(python, [python, "-X", "utf8", *sys.argv])


def environment_of(root: Path, locks: Sequence[str]) -> Path:
    """The environment that holds these locks, whether it is there or not."""
    return root / (".venv-host" if HOST in locks else ".venv")


def interpreter(environment: Path) -> Path:
    """The environment's Python, whether it is there or not."""
    return environment / "bin" / "python"


def prepare_image(root: Path, say: Say) -> Tuple[Python, Path]:
    """The Python 3.8 and the uv that make what trains in a process. Raises SetUpError."""
    python = find_python(root)
    check_compiler(python)
    uv = install_uv(root, python, say)
    return python or install_python(root, uv, say), uv


def prepare_host(root: Path, say: Say) -> Tuple[Python, Path]:
    """The Python that runs this, and a uv. Raises SetUpError."""
    # A virtual environment of the user's own may go away: its base stays.
    base = os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable)
    python = Python(base, platform.python_version(), "", "")
    return python, install_uv(root, python, say)


# ---- what is there ----


def stamp(environment: Path) -> Path:
    """The file that tells what the environment was made from."""
    return environment / "set-up.json"


def read_stamp(environment: Path) -> Dict[str, Any]:
    """What the last complete set-up wrote; {} if there was none, or elsewhere, or its Python has gone."""
    try:
        made: Dict[str, Any] = json.loads(stamp(environment).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    # Scripts in a virtual environment name its path: a copy of the clone needs one of its own.
    return made if made["root"] == str(environment.parent) and interpreter(environment).exists() else {}


def lock_file(root: Path, lock: str) -> Path:
    """The lock's file."""
    return root / "docker" / "requirements" / (lock + ".txt")


def fingerprint(root: Path, lock: str) -> str:
    """The SHA-256 of a lock."""
    return hashlib.sha256(lock_file(root, lock).read_bytes()).hexdigest()


def is_current(root: Path, locks: Sequence[str]) -> bool:
    """Whether their environment holds what these locks name, as they are now."""
    made = read_stamp(environment_of(root, locks)).get("locks", {})
    return all(made.get(lock) == fingerprint(root, lock) for lock in locks)


# ---- what the machine must have ----


def check_platform(system: str = "", machine: str = "", libc: str = "") -> None:
    """Raises SetUpError where Ray 0.8.5 has no wheel. The arguments are this machine's, by default."""
    system = system or platform.system()
    machine = machine or platform.machine()
    libc = libc or platform.libc_ver()[0] or "a libc of its own"
    if system == "Linux" and machine == "x86_64" and libc == "glibc":
        return
    here = "{} on {} with {}".format(system, machine, libc) if system == "Linux" else "{} on {}".format(system, machine)
    raise SetUpError(
        "Ray 0.8.5 has wheels for Linux on x86_64 with glibc only, and this is {}: no process trains here. "
        "What works: `scripts/train --engine docker`, with an engine for linux/amd64 images".format(here)
    )


def find_python(root: Path) -> Optional[Python]:
    """The first Python 3.8 that really runs (pyenv's shims may be there and fail); None if none does."""
    for candidate in python_candidates(root, os.environ):
        python = ask_python(candidate)
        if python is not None:
            return python
    return None


def python_candidates(root: Path, environ: "os._Environ[str]") -> Iterator[str]:
    """Where a Python 3.8 may be, best first."""
    yield sys.executable
    for folder in environ.get("PATH", "").split(os.pathsep):
        yield os.path.join(folder, "python3.8")
    data = environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share")
    pyenv = environ.get("PYENV_ROOT") or os.path.expanduser("~/.pyenv")
    managed = [
        environ.get("UV_PYTHON_INSTALL_DIR") or os.path.join(data, "uv", "python"),
        str(root / ".tools" / "python"),
    ]
    for pattern in [os.path.join(glob.escape(pyenv), "versions", "3.8.*")] + [
        os.path.join(glob.escape(m), "cpython-3.8.*") for m in managed
    ]:
        for home in sorted(glob.glob(pattern), key=natural, reverse=True):
            yield os.path.join(home, "bin", "python3.8")


def natural(text: str) -> List[Tuple[int, str]]:
    """A sort key by which 3.8.18 comes after 3.8.9."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", text)]


ABOUT = """
import json, os, platform, sys, sysconfig
print(json.dumps([os.path.realpath(sys.executable), platform.python_version(), sysconfig.get_path("include"),
                  (sysconfig.get_config_var("CC") or "cc").split()[0],
                  platform.python_implementation() == "CPython" and sys.maxsize > 2**32]))
"""


def ask_python(executable: str) -> Optional[Python]:
    """What the interpreter says of itself; None where it does not run, or is no 64-bit CPython 3.8."""
    if not os.access(executable, os.X_OK):
        return None
    try:
        asked = subprocess.run(
            [executable, "-I", "-c", ABOUT],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=20,
            check=False,
        )
        real, version, include, compiler, fits = json.loads(asked.stdout.decode())
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    return Python(real, version, include, compiler) if fits and version.startswith("3.8.") else None


def compiler_of(python: Optional[Python]) -> Optional[str]:
    """The C compiler for builds: $CC, the one that the interpreter was built with, or what there is."""
    wanted = os.environ.get("CC", "").split()[:1] or ([python.compiler] if python else [])
    return next(filter(None, map(shutil.which, wanted + ["cc", "gcc", "clang"])), None)


def check_compiler(python: Optional[Python]) -> None:
    """Raises SetUpError where the C extension of sagemaker-training, which has no wheel, cannot be built."""
    reason = "sagemaker-training has no wheel and is built here"
    compiler = compiler_of(python)
    if compiler is None or not compiles(compiler, "#include <stdio.h>"):
        raise SetUpError("a working C compiler is missing ({}): install {}".format(reason, package("compiler")))
    if python is not None and not compiles(compiler, "#include <Python.h>", "-I" + python.include):
        raise SetUpError(
            "the headers of {} are missing ({}): install {}".format(python.executable, reason, package("headers"))
        )


def compiles(compiler: str, source: str, *options: str) -> bool:
    """Whether the compiler takes a source text."""
    command = [compiler, *options, "-fsyntax-only", "-x", "c", "-"]
    silent = subprocess.DEVNULL
    return (
        subprocess.run(command, input=source.encode() + b"\n", stdout=silent, stderr=silent, check=False).returncode
        == 0
    )


def package(what: str) -> str:
    """What the user types for what only the system can install."""
    names = PACKAGES[what]
    for manager, name in names.items():
        if shutil.which(manager):
            verb = "-S" if manager == "pacman" else "install"
            return "{} with `{} {} {}`".format(name, manager, verb, name)
    return " or ".join(sorted(set(names.values())))


# ---- what is made ----


@contextmanager
def alone(root: Path, say: Say) -> Iterator[None]:
    """Holds the lock that keeps two set-ups of one clone apart; waits for the other one."""
    try:
        import fcntl
    except ImportError:
        raise SetUpError("the scripts run on Linux and macOS; on Windows, in WSL") from None
    (root / ".tools").mkdir(exist_ok=True)
    with open(str(root / ".tools" / "lock"), "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            say("another set-up is at work in this clone: waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        # Inherited by what is started from here on, so that the lock is held until the last of it has ended:
        # a set-up that was killed may leave an installer behind that still writes.
        os.set_inheritable(lock.fileno(), True)
        yield


def uv_folder(root: Path) -> Path:
    """Where the locked uv is, or will be."""
    return root / ".tools" / ("uv-" + fingerprint(root, "uv")[:12])


def install_uv(root: Path, python: Optional[Python], say: Say) -> Path:
    """The locked uv, hash-checked; installed by whichever of uv and pip works here. Raises SetUpError."""
    folder = uv_folder(root)
    uv = folder / "bin" / "uv"
    if uv.exists():
        return uv
    say("installing uv into .tools")
    for old in folder.parent.glob("uv-*"):
        shutil.rmtree(str(old))
    unfinished = folder.parent / "uv-unfinished"
    said = []
    for installer in installers(root, python):
        command = [
            *installer,
            "--target",
            str(unfinished),
            "--no-deps",
            "--require-hashes",
            "--only-binary",
            ":all:",
        ]
        status, output = run([*command, "-r", str(lock_file(root, "uv"))])
        if status == 0:
            unfinished.rename(folder)
            return uv
        said += output
        shutil.rmtree(str(unfinished), ignore_errors=True)
    if not said:
        raise SetUpError("neither pip nor uv is there to install from the locks: install " + package("pip"))
    raise SetUpError("uv could not be installed:\n" + "\n".join(said), errno=1)


def installers(root: Path, python: Optional[Python]) -> Iterator[List[str]]:
    """Commands that can install the locked uv, as far as they are there."""
    pythons = list(dict.fromkeys(([python.executable] if python else []) + [sys.executable]))
    found = shutil.which("uv")
    if found:
        yield [found, "pip", "install", "--python", pythons[0]]
    with_pip = [executable for executable in pythons if run([executable, "-m", "pip", "--version"])[0] == 0]
    if not with_pip:
        made = root / ".tools" / "pip"
        with_venv = any(run([executable, "-m", "venv", "--clear", str(made)])[0] == 0 for executable in pythons)
        with_pip = [str(made / "bin" / "python")] if with_venv else []
    for executable in with_pip:
        # uv is a program in a wheel: it runs beside any Python, also one older than the wheel asks for.
        yield [executable, "-m", "pip", "install", "--disable-pip-version-check", "--ignore-requires-python"]


def install_python(root: Path, uv: Path, say: Say) -> Python:
    """A Python 3.8 of the clone's own, through uv. Raises SetUpError."""
    say("no Python 3.8 here: downloading one into .tools")
    folder = root / ".tools" / "python"
    download = [str(uv), "python", "install", "--no-bin", "--install-dir", str(folder), "3.8"]
    check("Python 3.8 (another way: `pyenv install 3.8`)", *run(download, say))
    python = find_python(root)
    if python is None:
        raise SetUpError("the Python 3.8 that uv downloaded into {} does not run".format(folder), errno=1)
    return python


def install(root: Path, locks: Sequence[str], python: Python, uv: Path, say: Say) -> None:
    """Makes the environment, or brings it up to date, and writes its stamp last. Raises SetUpError."""
    environment = environment_of(root, locks)
    made = read_stamp(environment)
    wanted = sorted({*locks, *(lock for lock in made.get("locks", {}) if lock_file(root, lock).exists())})
    fingerprints = {lock: fingerprint(root, lock) for lock in wanted}
    if not made:
        make_empty(environment)
    # Empty from now on: a set-up that does not reach its end is one that the next run begins anew.
    stamp(environment).write_text("", encoding="utf-8")
    if not made:
        quiet = [
            str(uv),
            "venv",
            "--quiet",
            "--allow-existing",
            "--no-project",
            "--python",
            python.executable,
        ]
        check("the virtual environment", *run([*quiet, str(environment)], say))
    say(
        "installing {} into {}{}".format(
            " and ".join(lock + ".txt" for lock in wanted),
            environment.name,
            "" if HOST in wanted else " (a few minutes the first time)",
        )
    )
    sync = [str(uv), "pip", "sync", "--python", str(interpreter(environment)), "--require-hashes"]
    # The image lock holds setuptools and wheel: what builds the packages without a wheel is locked too.
    building = ["--only-binary", ":all:"] if HOST in wanted else ["--build-constraints", str(lock_file(root, IMAGE))]
    sync += [*building, *(str(lock_file(root, lock)) for lock in wanted)]
    check("the packages", *run(sync, say, compiler_of(python)))
    say("compiling byte code, which more than halves every start (up to a minute)")
    check("the packages' byte code", *run([*sync, "--compile-bytecode"]))
    unfinished = stamp(environment).with_suffix(".tmp")
    unfinished.write_text(
        json.dumps({"root": str(root), "python": python.version, "locks": fingerprints}), encoding="utf-8"
    )
    os.replace(str(unfinished), str(stamp(environment)))


def make_empty(environment: Path) -> None:
    """Puts an empty folder in the place of an environment of ours. Raises SetUpError for one that is not."""
    if environment.exists():
        if os.listdir(str(environment)) and not (environment / "set-up.json").exists():
            raise SetUpError("{} was not made by these scripts: move it away".format(environment))
        shutil.rmtree(str(environment))
    environment.mkdir()


def check(what: str, status: int, output: List[str]) -> None:
    """Raises SetUpError for a command that failed, and whose output the user has seen."""
    if status != 0:
        last = output[-1].strip() if output else "exit status {}".format(status)
        raise SetUpError("{} could not be installed: {}".format(what, last), errno=1)


def run(command: List[str], say: Optional[Say] = None, compiler: Optional[str] = None) -> Tuple[int, List[str]]:
    """Runs a command with the user's settings; returns its exit status and its output, said as it comes."""
    environ = {**os.environ, **PIP_SETTINGS}
    for ours, theirs in PIP_TO_UV.items():
        if os.environ.get(ours) and not os.environ.get(theirs):
            environ[theirs] = os.environ[ours]
    environ.pop("PYTHONDONTWRITEBYTECODE", None)  # byte code is what more than halves every start
    if compiler:
        environ["CC"] = compiler
    # close_fds: the lock that alone() holds is handed on to the command
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environ,
        close_fds=False,
    )
    assert process.stdout is not None
    output = []
    with process:
        for raw in process.stdout:
            line = raw.decode("utf-8", "replace").rstrip()
            output.append(line)
            # Left out: uv's list of every package (" + ray==0.8.5"), and what has been said already.
            if say is not None and not re.match(r" [-+~] |Using Python|Resolved|Prepared", line):
                say("  " + line.strip())
    return process.returncode, output


class Narrator:
    """Prints what is being done, with the seconds since the first line."""

    def __init__(self) -> None:
        self.began = time.monotonic()

    def __call__(self, line: str) -> None:
        print("set-up {:6.1f} s  {}".format(time.monotonic() - self.began, line), file=sys.stderr, flush=True)


# ---- the Python that runs the scripts ----


def run_again_if_old() -> None:
    """Starts the script again under a newer Python where it was started with one older than 3.8."""
    if sys.version_info >= (3, 8):
        return
    try:
        newer = newer_python() or download_newer_python()
    except SetUpError as error:
        print(
            "Python 3.8 or newer is needed, and python3 is %s. %s" % (platform.python_version(), error),
            file=sys.stderr,
        )
        sys.exit(error.errno)
    os.execv(newer, [newer, *sys.argv])


def newer_python() -> Optional[str]:
    """A Python that can run the scripts; None if there is none."""
    python = find_python(ROOT)
    if python:
        return python.executable
    named = filter(None, (shutil.which("python3.%d" % minor) for minor in range(9, 20)))
    return next((name for name in named if run([name, "-c", ""])[0] == 0), None)


def download_newer_python() -> str:
    """A Python 3.8 of the clone's own. Raises SetUpError."""
    say = Narrator()
    with alone(ROOT, say):
        return install_python(ROOT, install_uv(ROOT, None, say), say).executable
