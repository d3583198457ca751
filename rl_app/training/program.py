"""A user's own program in place of the built-in job: run by sagemaker-training, stopped gently, its end explained."""

from __future__ import annotations

import os
import re
import select
import socket
import sys
import threading
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional

import psutil

from rl_app.job import sagemaker
from rl_app.stopping.stop_request import StopRequest

REST_AFTER_S = 80.0
"""How long after a stop the program has its own processes to itself; SageMaker kills all after 120 s."""
END_SIZE = 800
"""Characters of standard error in a reason: SageMaker shows 1,024 of it, and more follows than these."""
PIPE_SIZE = 1 << 16
"""All that a pipe holds."""
SHELLS = ("sh", "dash", "bash")


def run() -> None:
    """Run the program that the job names by sagemaker-training; its error holds the end of standard error.

    A program that a stop has ended has obeyed it, and is no failure.
    """
    from sagemaker_training import entry_point, environment, errors, modules

    # It is installed, for this job alone; the toolkit would have packages of paths in the environment of all jobs
    modules.install_requirements = lambda *_: None
    env, said = environment.Environment(resources(environment.read_resource_config())), StandardError()
    if len(env.hosts) == 1 and not resolves(env.current_host):
        os.environ["SM_STUDIO_LOCAL_MODE"] = "true"  # the toolkit would wait a quarter of an hour for the name
    try:
        with Stopping() as stopping, StopRequest(on_request=stopping.request) as stop, said:
            variables = {**env.to_env_vars(), **preloaded(env.current_host)}
            entry_point.run(env.module_dir, env.user_entry_point, env.to_cmd_args(), variables)
    except errors.ClientError as error:
        if stop.signal and getattr(error, "return_code", "") in (str(-stop.signal), str(128 + stop.signal)):
            return
        if not getattr(error, "output", "nowhere to put it"):
            error.output = said.end
        raise


def resources(given: Mapping[str, Any]) -> Dict[str, Any]:
    """Return resourceconfig.json with a network interface that is there; SDK 3's local mode makes one up."""
    there = sorted(name for _, name in socket.if_nameindex())
    named = given.get("network_interface_name", "eth0")
    if named not in there:
        named = next((name for name in there if name != "lo"), "lo")
    return {**given, "network_interface_name": named}


def preloaded(host: str) -> Dict[str, str]:
    """Return the variable by which programs are told SageMaker's name of the host where they ask the machine for its.

    AWS's containers do so too; {} where the two are the same. The library is sagemaker-training's, and reads
    resourceconfig.json where SageMaker has it, and nowhere else.
    """
    library = find_spec("gethostname")
    if socket.gethostname() == host or library is None or sagemaker.paths() != sagemaker.paths({}):
        return {}
    return {"LD_PRELOAD": str(library.origin)}


def resolves(host: str) -> bool:
    """Say whether the network knows a host by its name."""
    try:
        socket.gethostbyname(host)
    except OSError:
        return False
    return True


def without_model(program: str, model: Path) -> str:
    """Return the line that ends a program's job that has left no model."""
    return f"NO MODEL: {program} left {model} empty, and so is model.tar.gz; SM_MODEL_DIR says where a model goes"


class Stopping:
    """A stop of the program: it hears of it at once, and the processes that it has started when it has ended.

    A program that saves needs them until then: Ray's, say, would end by the same signal. Where the program does not
    end in ``rest_after_s``, they hear of it all the same. Use it as a context around the program.
    """

    def __init__(self, rest_after_s: float = REST_AFTER_S) -> None:
        self._rest_after_s = rest_after_s
        self._rest: Dict[psutil.Process, int] = {}
        self._timer: Optional[threading.Timer] = None

    def __enter__(self) -> Stopping:
        return self

    def __exit__(self, *_: object) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._signal_rest()

    def request(self, number: int) -> None:
        """Signal the program now, and the rest later."""
        us = psutil.Process()
        program = [process for child in us.children() for process in listeners(child, number)]
        self._rest = {process: number for process in us.children(recursive=True) if process not in program}
        self._timer = threading.Timer(self._rest_after_s, self._signal_rest)
        self._timer.daemon = True
        self._timer.start()
        for process in program:
            with suppress(psutil.Error):
                process.send_signal(number)

    def _signal_rest(self) -> None:
        for process, number in self._rest.items():
            with suppress(psutil.Error):
                process.send_signal(number)
        self._rest = {}


def listeners(process: psutil.Process, number: int) -> List[psutil.Process]:
    """Find who is the program: of a shell script what it runs, and the shell itself where it has a trap.

    A shell without one would end at once, and the job with it, while what it runs still saves.
    """
    try:
        if os.path.basename(process.exe()) not in SHELLS:
            return [process]
        below = [each for child in process.children() for each in listeners(child, number)]
        return [*below, process] if not below or catches(process.pid, number) else below
    except (psutil.Error, OSError):  # it has ended
        return []


def catches(pid: int, number: int) -> bool:
    """Say whether a process has a handler for the signal."""
    caught = re.search(r"^SigCgt:\s*(\w+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return caught is not None and bool(int(caught[1], 16) >> (number - 1) & 1)


class StandardError:
    """Keeps the end of what this process, and those that it starts, write to standard error while the block runs.

    All of it goes on to standard error as it comes.
    """

    def __init__(self) -> None:
        self._last = b""

    @property
    def end(self) -> str:
        """The last lines, as many as fit a reason; of a line that a progress bar has drawn anew what was there last."""
        lines = self._last.decode("utf-8", "replace").replace("\r\n", "\n").rstrip().split("\n")
        text = "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in lines)
        if len(text) <= END_SIZE:
            return text
        whole = text[-END_SIZE:].partition("\n")[2]  # lines
        return whole or text[-END_SIZE:]

    def __enter__(self) -> StandardError:
        sys.stderr.flush()
        self._real = os.dup(2)
        reading, writing = os.pipe()
        waking, self._wake = os.pipe()
        os.dup2(writing, 2)
        os.close(writing)
        self._copying = threading.Thread(target=self._copy, args=(reading, waking), daemon=True)
        self._copying.start()
        return self

    def __exit__(self, *_: object) -> None:
        sys.stderr.flush()
        os.dup2(self._real, 2)
        os.close(self._wake)
        self._copying.join()

    def _copy(self, reading: int, waking: int) -> None:
        """Copy until the block has ended; what the pipe then holds is the last. Others may go on writing to it."""
        ended = False
        while not ended:
            ready, _, _ = select.select([reading, waking], [], [])
            ended = waking in ready
            if reading in ready:
                chunk = os.read(reading, PIPE_SIZE)
                self._last = (self._last + chunk)[-PIPE_SIZE:]
                with suppress(OSError):
                    os.write(self._real, chunk)
