"""TensorBoard on all jobs of a store.

TensorBoard reads directories, and s3:// only through tensorflow-io, which the image has not. So the events of
each job are copied to a directory, ever again, and TensorBoard shows that: for a directory store too, where a
job's folder holds the same events up to three times (live, final and fetched).
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import socket
import sys
import tempfile
import threading
import warnings
from pathlib import Path, PurePosixPath
from typing import Any, Dict, List, Mapping, Sequence, Tuple

from rl_app.errors import JobError, UserError
from rl_app.local.compose import say_way_down
from rl_app.machine import unless_ignored
from rl_app.storage import layout
from rl_app.storage.base import Entry, Store
from rl_app.storage.opening import open_store

PASS_S = 5.0
EVENTS = "events.out.tfevents."

EXAMPLES = """
examples:
  python -m rl_app board
  python -m rl_app board --store s3://bucket/prefix --port 6007

Where --store is not given, the environment is asked: STORE. It runs until Ctrl-C or SIGTERM.
"""

_log = logging.getLogger(__name__)


def main(arguments: Sequence[str], environ: Mapping[str, str] = os.environ) -> int:
    """Show the jobs until a signal comes; return 128 and its number, or 2 for what the user can fix."""
    options = _options(arguments)
    stopped: List[int] = []
    stopping = threading.Event()

    def stop(number: int, _: Any) -> None:
        stopped.append(number)
        stopping.set()

    for number in (signal.SIGINT, signal.SIGTERM, *unless_ignored(signal.SIGHUP)):
        signal.signal(number, stop)
    try:
        store = open_store(options.store or environ.get("STORE") or "runs", environ)
        with tempfile.TemporaryDirectory(prefix="board-") as folder:
            copies = Copies(store, Path(folder))
            copies.update()
            url = _serve(folder, options.host, options.port)
            print(f"TensorBoard on the jobs of {store.url}: {options.address or url}", file=sys.stderr, flush=True)
            say_way_down(environ)
            while not stopping.wait(PASS_S):
                copies.try_update()
    except (UserError, JobError) as error:
        print(error, file=sys.stderr)
        return error.errno
    return 128 + stopped[0]


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m rl_app board",
        description="TensorBoard on all jobs of a store, also while they run.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--store", metavar="URL", help="s3://BUCKET[/PREFIX] or a directory; default: runs")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on; default: 127.0.0.1")
    parser.add_argument("--port", type=int, default=6006, help="default: 6006")
    parser.add_argument("--address", metavar="URL", help="where a browser finds it, if that is elsewhere")
    return parser.parse_args(list(arguments))


def _serve(directory: str, host: str, port: int) -> str:
    """Start TensorBoard in threads of this process; return its URL. Raises UserError for a port that is taken."""
    try:  # TensorBoard's server would end the process
        socket.create_server((host, port)).close()
    except OSError as error:
        raise UserError(f"--port {port}: {os.strerror(error.errno) if error.errno else error}") from None
    except OverflowError:
        raise UserError(f"--port {port}: must be 0 to 65535") from None
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    warnings.simplefilter("ignore", FutureWarning)  # that this Python is old
    from tensorboard import default, program

    logging.getLogger("tensorboard").setLevel(logging.ERROR)
    board = program.TensorBoard(default.get_plugins())
    where = ["--logdir", directory, "--host", host, "--port", str(port)]
    # its own loader: the fast one is another process, and shows files that grow no sooner
    board.configure([None, *where, "--reload_interval", f"{PASS_S:.0f}", "--load_fast", "false"])
    url: str = board.launch()
    return url


class Copies:
    """The events of each job of ``store``, in a folder of the job's name below ``directory``."""

    def __init__(self, store: Store, directory: Path) -> None:
        self._store = store
        self._directory = directory
        self._seen: Dict[str, Tuple[int, object]] = {}
        self._trouble = False

    def try_update(self) -> None:
        """Update, or put it off while the store does not answer."""
        try:
            self.update()
            self._trouble = False
        except (JobError, UserError, OSError) as error:
            if not self._trouble:
                _log.warning("%s; trying again", error)
            self._trouble = True

    def update(self) -> None:
        """Copy what is new since the last time, and remove the jobs that are gone; raises JobError, OSError."""
        wanted = {
            f"{job}/{PurePosixPath(entry.key).name}": entry
            for job in self._store.folders()
            for entry in _events(self._store, job)
        }
        for name, entry in wanted.items():
            version = (entry.size, entry.modified)
            if self._seen.get(name) != version:
                try:
                    self._bring(entry.key, self._directory / name)
                except FileNotFoundError:  # gone since it was listed
                    continue
                self._seen[name] = version
        for name in [name for name in self._seen if name not in wanted]:
            (self._directory / name).unlink()
            del self._seen[name]

    def _bring(self, key: str, file: Path) -> None:
        data = self._store.read(key)
        file.parent.mkdir(exist_ok=True)
        # Events are only ever added, and TensorBoard goes on reading the file that it has open
        known = file.read_bytes() if file.exists() else b""
        with file.open("ab" if data.startswith(known) else "wb") as stream:
            stream.write(data[len(known) :] if data.startswith(known) else data)


def _events(store: Store, job: str) -> List[Entry]:
    """Return the live events of a job, which stay when it has ended; of a copy by scripts/fetch, the final ones."""
    for where in (layout.LIVE, layout.UNPACKED):
        found = [entry for entry in store.list(f"{job}/{where}") if PurePosixPath(entry.key).name.startswith(EVENTS)]
        if found:
            return found
    return []
