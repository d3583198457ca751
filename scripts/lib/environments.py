"""Makes the virtual environments of the scripts, from the hashed locks.

It runs before anything is installed: the standard library alone, under any Python from 3.6 on.

    .venv/         trains and tests in a process: Python 3.8, linux/amd64, a C compiler
    .venv-host/    what the other scripts need: any Python from 3.8 on, Linux or macOS, no compiler
    .tools/        uv, the lock that keeps two set-ups apart, and a Python 3.8 where the machine has none

The `set-up.json` of an environment says from which locks it is made, and is empty until it is.
"""

import json
import os
import platform
import shutil
import sys
from pathlib import Path
from typing import Any, Dict, Optional, Sequence, Tuple

from scripts.lib.interpreters import Python, python_3_8
from scripts.lib.locked_uv import install_uv
from scripts.lib.prerequisites import check_compiler, check_platform, compiler_of
from scripts.lib.set_up_steps import ROOT as ROOT
from scripts.lib.set_up_steps import Narrator, Say, check, exclusive, fingerprint, lock_file, run
from scripts.lib.set_up_steps import SetUpError as SetUpError

IMAGE = "image-cpu"
TEST = "test"
HOST = "host"
# What a lock downloads on linux/amd64 where uv has nothing of it in its cache: `pip download --no-deps -r LOCK`.
DOWNLOAD_MB = {IMAGE: 517, TEST: 43, HOST: 53}


def ensure(locks: Sequence[str], root: Path = ROOT, say: Optional[Say] = None) -> Path:
    """Make the environment of `locks` (of docker/requirements) hold what they name, and return its interpreter.

    Costs milliseconds where it is up to date. Raises SetUpError.
    """
    environment = environment_of(root, locks)
    if is_current(root, locks):
        return interpreter(environment)
    say = say or Narrator()
    if HOST not in locks:
        check_platform()
    with exclusive(root, say):
        if not is_current(root, locks):
            python, uv = prepare_host(root, say) if HOST in locks else prepare_image(root, say)
            say("Python {} at {}".format(python.version, python.executable))
            install(root, locks, python, uv, say)
            say("done")
    return interpreter(environment)


def become_host(root: Path = ROOT) -> None:
    """Start the script that runs again in the environment of the host lock; return in there. Raises SetUpError."""
    if sys.prefix == str(environment_of(root, [HOST])) and is_current(root, [HOST]):
        return
    python = str(ensure([HOST], root))
    sys.stdout.flush()
    # -X utf8: what the scripts print is UTF-8, in an environment without a locale too
    # -E: a PYTHONPATH, as of ROS or of a cluster's modules, has packages of the same names that are none of the lock's
    os.execv(python, [python, "-E", "-X", "utf8", *sys.argv])


def environment_of(root: Path, locks: Sequence[str]) -> Path:
    """Return the environment that holds these locks, whether it is there or not."""
    return root / (".venv-host" if HOST in locks else ".venv")


def interpreter(environment: Path) -> Path:
    """Return the environment's Python, whether it is there or not."""
    return environment / "bin" / "python"


def prepare_image(root: Path, say: Say) -> Tuple[Python, Path]:
    """Find the Python 3.8 and the uv that make what trains in a process. Raises SetUpError."""
    uv = install_uv(root, say)
    python = python_3_8(root, uv, say)
    check_compiler(python)
    return python, uv


def prepare_host(root: Path, say: Say) -> Tuple[Python, Path]:
    """Return the Python that runs this, and a uv. Raises SetUpError."""
    # A virtual environment of the user's own may go away: its base stays.
    base = os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable)
    python = Python(base, platform.python_version(), "", "")
    return python, install_uv(root, say)


# ---- what is there ----


def stamp(environment: Path) -> Path:
    """Return the file that tells what the environment was made from."""
    return environment / "set-up.json"


def read_stamp(environment: Path) -> Dict[str, Any]:
    """Read what the last complete set-up wrote; {} if there was none, or elsewhere, or its Python does not run."""
    try:
        made: Dict[str, Any] = json.loads(stamp(environment).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    # Scripts in a virtual environment name its path: a copy of the clone needs one of its own.
    # where root has set it up, its Python may be in a folder of root alone
    runs = os.access(str(interpreter(environment)), os.X_OK)
    return made if made["root"] == str(environment.parent) and runs else {}


def is_current(root: Path, locks: Sequence[str]) -> bool:
    """Tell whether their environment holds what these locks name, as they are now."""
    made = read_stamp(environment_of(root, locks)).get("locks", {})
    return all(made.get(lock) == fingerprint(root, lock) for lock in locks)


# ---- what is made ----


def install(root: Path, locks: Sequence[str], python: Python, uv: Path, say: Say) -> None:
    """Make the environment, or bring it up to date, and write its stamp last. Raises SetUpError."""
    environment = environment_of(root, locks)
    made = read_stamp(environment)
    wanted = sorted({*locks, *(lock for lock in made.get("locks", {}) if lock_file(root, lock).exists())})
    fingerprints = {lock: fingerprint(root, lock) for lock in wanted}
    if not made:
        make_empty(environment)
    # Empty from now on: a set-up that does not reach its end is one that the next run begins anew.
    stamp(environment).write_text("", encoding="utf-8")
    if not made:
        quiet = [str(uv), "venv", "--quiet", "--allow-existing", "--no-project", "--python", python.executable]
        check("the virtual environment", *run([*quiet, str(environment)], say))
    new = [lock for lock in wanted if made.get("locks", {}).get(lock) != fingerprints[lock]]
    say(announcement(new, environment.name))
    sync = [str(uv), "pip", "sync", "--python", str(interpreter(environment)), "--require-hashes"]
    # The image lock holds setuptools and wheel: what builds the packages without a wheel is locked too.
    building = ["--only-binary", ":all:"] if HOST in wanted else ["--build-constraints", str(lock_file(root, IMAGE))]
    sync += [*building, *(str(lock_file(root, lock)) for lock in wanted)]
    compiler = compiler_of(python)
    check("the packages", *run(sync, say, {"CC": compiler} if compiler else {}))
    say("compiling byte code, which more than halves every start (up to a minute)")
    check("the packages' byte code", *run([*sync, "--compile-bytecode"]))
    unfinished = stamp(environment).with_suffix(".tmp")
    content = {"root": str(root), "python": python.version, "locks": fingerprints}
    unfinished.write_text(json.dumps(content), encoding="utf-8")
    os.replace(str(unfinished), str(stamp(environment)))


def announcement(locks: Sequence[str], folder: str) -> str:
    """Say what is installed and where, how much has to come for it, and where that can be set to come from."""
    size = sum(DOWNLOAD_MB.get(lock, 0) for lock in locks)
    long = "" if HOST in locks else ", a few minutes"
    cost = "up to {} MB to download{}; PIP_INDEX_URL or UV_DEFAULT_INDEX names a mirror".format(size, long)
    return "installing {} into {} ({})".format(" and ".join(lock + ".txt" for lock in locks), folder, cost)


def make_empty(environment: Path) -> None:
    """Put an empty folder in the place of an environment of ours. Raises SetUpError for one that is not."""
    if environment.exists():
        if os.listdir(str(environment)) and not (environment / "set-up.json").exists():
            raise SetUpError("{} was not made by these scripts: move it away".format(environment))
        shutil.rmtree(str(environment))
    environment.mkdir()


# ---- the Python that runs the scripts ----


def run_again_if_old() -> None:
    """Start the script again under a newer Python where it was started with one older than 3.8."""
    if sys.version_info >= (3, 8):
        return
    try:
        newer = newer_python() or download_newer_python()
    except SetUpError as error:
        here = platform.python_version()
        print("Python 3.8 or newer is needed, and python3 is %s. %s" % (here, error), file=sys.stderr)
        sys.exit(error.errno)
    os.execv(newer, [newer, *sys.argv])


def newer_python() -> Optional[str]:
    """Find a Python on PATH that can run the scripts; None if there is none."""
    named = filter(None, (shutil.which("python3.%d" % minor) for minor in range(8, 20)))
    return next((name for name in named if run([name, "-c", ""])[0] == 0), None)


def download_newer_python() -> str:
    """Find a Python 3.8, the clone's own, which is downloaded, where the machine has none. Raises SetUpError."""
    say = Narrator()
    with exclusive(ROOT, say):
        return python_3_8(ROOT, install_uv(ROOT, say), say).executable
