"""The steps of a set-up: a command run, a lock held, a lock's file, an error in one line.

The standard library alone, under any Python from 3.6 on, as all that runs before anything is installed.
"""

import hashlib
import os
import re
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Callable, Dict, Iterator, List, Optional, Tuple

ROOT = Path(__file__).resolve().parents[2]

# pip's settings (mirrors, certificates) are the user's, apart from two that --target does not go with.
PIP_SETTINGS = {"PIP_USER": "0", "PIP_REQUIRE_VIRTUALENV": "0"}
# uv does not read pip's settings; who has set these has a reason to.
PIP_TO_UV = {
    "PIP_INDEX_URL": "UV_DEFAULT_INDEX",
    "PIP_EXTRA_INDEX_URL": "UV_INDEX",
    "PIP_CERT": "SSL_CERT_FILE",
}

Say = Callable[[str], None]


class SetUpError(Exception):
    """Why there is no environment. `errno` is the exit status: 2 for what the user can fix, else 1."""

    def __init__(self, message: str, errno: int = 2) -> None:
        super().__init__(message)
        self.errno = errno


def lock_file(root: Path, lock: str) -> Path:
    """Return the lock's file."""
    return root / "docker" / "requirements" / (lock + ".txt")


def fingerprint(root: Path, lock: str) -> str:
    """Return the SHA-256 of a lock."""
    return hashlib.sha256(lock_file(root, lock).read_bytes()).hexdigest()


@contextmanager
def exclusive(root: Path, say: Say) -> Iterator[None]:
    """Hold the lock that keeps two set-ups of one clone apart; wait for the other one.

    Raises SetUpError for what the disk does not take.
    """
    try:
        with _locked(root, say):
            yield
    except OSError as error:
        where = "{}: {}".format(error.filename or root, error.strerror or error)
        raise SetUpError("{}; a set-up writes 2 GB into {}, which has to be your own".format(where, root)) from None


@contextmanager
def _locked(root: Path, say: Say) -> Iterator[None]:
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


def run(
    command: List[str], say: Optional[Say] = None, settings: Optional[Dict[str, str]] = None
) -> Tuple[int, List[str]]:
    """Run a command with the user's settings; return its exit status and its output, said as it comes.

    `settings` are further ones, for its environment.
    """
    environ = {**os.environ, **PIP_SETTINGS, **(settings or {})}
    for ours, theirs in PIP_TO_UV.items():
        if os.environ.get(ours) and not os.environ.get(theirs):
            environ[theirs] = os.environ[ours]
    environ.pop("PYTHONDONTWRITEBYTECODE", None)  # byte code is what more than halves every start
    # close_fds: the lock that exclusive() holds is handed on to the command
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


def check(what: str, status: int, output: List[str]) -> None:
    """Raise SetUpError for a command that failed, and whose output the user has seen."""
    if status != 0:
        last = output[-1].strip() if output else "exit status {}".format(status)
        raise SetUpError("{} could not be installed: {}".format(what, last), errno=1)


class Narrator:
    """Prints what is being done, with the seconds since the first line."""

    def __init__(self) -> None:
        self.began = time.monotonic()

    def __call__(self, line: str) -> None:
        print("set-up {:6.1f} s  {}".format(time.monotonic() - self.began, line), file=sys.stderr, flush=True)
