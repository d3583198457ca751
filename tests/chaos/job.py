"""A job that never ends by itself, on which the faults are done: started, gone on with, and looked into."""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading
import time
import uuid
from datetime import datetime, timezone
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Set

import psutil

from rl_app.local.record import HEARTBEAT_S
from rl_app.training import checkpoints
from tests.app.jobs import REPOSITORY, local
from tests.waiting import until

MARK = "CHAOS_OF"
"""A variable that every process of a job inherits, and by which it is found."""
SOURCE = '''
import os
import pathlib
import time

import gym
import numpy as np

HERE = pathlib.Path(__file__).parent


class Shaky(gym.Env):
    """Does what a file of that name beside its source asks for."""

    observation_space = gym.spaces.Box(-1.0, 1.0, (4,), np.float32)
    action_space = gym.spaces.Discrete(2)
    steps = 0

    def reset(self):
        return np.zeros(4, np.float32)

    def step(self, action):
        self.steps += 1
        time.sleep(0.001)
        observation = np.full(4, 0.1, np.float32)
        for fault in os.listdir(FAULTS) if self.steps % 20 == 0 and os.path.isdir(FAULTS) else ():
            if fault == "raise":
                raise RuntimeError("the environment is broken")
            if fault == "exit":
                os._exit(0)
            if fault == "nan":
                observation[0] = np.nan
            if fault == "leak":
                HELD.append(np.ones(5_000_000))
            if fault == "hang":
                time.sleep(3600)
        return observation, 1.0, self.steps % 10 == 0, {}


HELD = []
FAULTS = os.environ.get("CHAOS_FAULTS", "/tmp/faults")
ENVS = {"Shaky": lambda _: Shaky()}
'''
SMALL = (
    "env=Shaky",
    "env_deadline=5",
    "config.num_envs_per_worker=2",
    "config.rollout_fragment_length=100",
    "config.train_batch_size=400",
    "config.sgd_minibatch_size=100",
    "config.num_sgd_iter=2",
    "config.timesteps_per_iteration=0",
    "config.min_iter_time_s=0",
    "stop.episode_reward_mean=501",
    "stop.timesteps_total=100000000",
    "checkpoint_freq=1",
    "keep_checkpoints_num=3",
    "seed=1",
)


class Job:
    """A job with ``workers`` processes of Ray's, in a store that is a directory; it is gone on with again and again."""

    def __init__(self, folder: Path, workers: int, settings: Sequence[str] = ()) -> None:
        self.name = f"chaos-{workers}-workers"
        self.store, self.faults, self.source = folder / "store", folder / "faults", folder / "source"
        for directory in (self.store, self.faults, self.source):
            directory.mkdir(parents=True)
        (self.source / "envs.py").write_text(SOURCE)
        self._workers, self._settings = workers, settings
        self._mark = uuid.uuid4().hex
        self._process: Optional[subprocess.Popen[str]] = None
        self._seen: Set[psutil.Process] = set()
        self.lines: List[str] = []

    # ---- its life

    def start(self) -> None:
        """Start it, or go on with it."""
        self.look()
        words = ["--resume", self.name] if (self.directory / "job.json").exists() else self._first()
        self.lines = []
        self._process = subprocess.Popen(
            self.command([*words, "--store", self.url]),
            cwd=str(REPOSITORY),
            env={**os.environ, MARK: self._mark, **self.environment()},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            universal_newlines=True,
        )
        threading.Thread(target=self._read, args=(self._process,), daemon=True).start()

    @property
    def url(self) -> str:
        """The URL of its store."""
        return str(self.store)

    def command(self, words: List[str]) -> List[str]:
        """What starts it, with the words of a command line."""
        return local(*words)

    def environment(self) -> Dict[str, str]:
        """The variables that it is given."""
        return {"CHAOS_FAULTS": str(self.faults)}

    def look(self) -> None:
        """Bring what its store has to where it is looked into; a directory is looked into as it is."""

    def _first(self) -> List[str]:
        words = ["cartpole", *SMALL, *self._settings, f"config.num_workers={self._workers}", "--job", self.name]
        return [*words, "--source", str(self.source)]

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                self.lines.append(line.rstrip())

    @property
    def process(self) -> psutil.Process:
        """Local mode itself."""
        assert self._process is not None
        return psutil.Process(self._process.pid)

    def ended(self) -> bool:
        """Whether local mode has ended."""
        return self._process is None or self._process.poll() is not None

    def wait(self, deadline_s: float) -> int:
        """Wait for its end; return its exit status."""
        assert self._process is not None
        return self._process.wait(deadline_s)

    # ---- what is seen of it

    @property
    def directory(self) -> Path:
        """What the store has of it."""
        return self.store / self.name

    @property
    def base(self) -> Path:
        """Its /opt/ml."""
        return self.store / ".work" / self.name

    def saw(self, pattern: str) -> Optional["re.Match[str]"]:
        """The last printed line with the pattern."""
        return next(filter(None, (re.search(pattern, line) for line in reversed(self.lines))), None)

    def iterations(self) -> int:
        """The last iteration that was printed since the last start; 0 where none was."""
        found = self.saw(r"^iteration +(\d+)")
        return int(found[1]) if found else 0

    def await_iterations(self, more: int = 2) -> None:
        """Wait for some iterations since the last start."""
        until(lambda: self.ended() or len([1 for line in self.lines if line.startswith("iteration ")]) >= more, 180)
        assert not self.ended(), "\n".join(self.lines)

    def await_more(self, iterations: int) -> None:
        """Wait for more iterations than it has done by now; for as long as that takes, it trains."""
        goal = self.iterations() + iterations
        until(lambda: self.ended() or self.iterations() >= goal, 120)
        assert not self.ended(), "\n".join(self.lines)

    def record(self) -> Dict[str, object]:
        """Its job.json."""
        return dict(json.loads((self.directory / "job.json").read_text()))

    def await_silence(self) -> None:
        """Wait until it has been silent for so long that it is taken to have died, and may be gone on with."""
        self.look()
        heard = datetime.fromisoformat(str(self.record()["LastModifiedTime"]))
        until(lambda: (datetime.now(timezone.utc) - heard).total_seconds() > 3 * HEARTBEAT_S, 4 * HEARTBEAT_S)

    def kept(self) -> List[checkpoints.Checkpoint]:
        """The checkpoints that it can go on from, oldest first: of its store, and what a killed one left here."""
        places = (self.directory, self.base)
        found = {each.iteration: each for place in places for each in checkpoints.kept(place / "checkpoints")}
        return [found[iteration] for iteration in sorted(found)]

    def family(self) -> List[psutil.Process]:
        """Every process of its that runs, orphans too: what inherits its mark, or was seen among its descendants.

        Ray's workers write their title over the environment that they were started with.
        """
        if not self.ended():
            self._seen.update(self.process.children(recursive=True), [self.process])
        self._seen.update(process for process in psutil.process_iter() if self._marked(process))
        self._seen = {process for process in self._seen if runs(process)}
        return list(self._seen)

    def _marked(self, process: psutil.Process) -> bool:
        try:
            return bool(process.environ().get(MARK) == self._mark)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            return False

    def named(self, part: str) -> psutil.Process:
        """Its process whose name or command line has the part; raises StopIteration where there is none."""
        return next(each for each in self.family() if part in words_of(each))

    def trainer(self) -> psutil.Process:
        """The process that trains: the child of the one that is told of stops."""
        (supervisor,) = [each for each in self.process.children() if words_of(each).endswith(" train")]
        return next(each for each in supervisor.children() if words_of(each).endswith(" train"))

    def await_end_of_family(self, deadline_s: float) -> List[str]:
        """Wait until none of its processes is left; return the command lines of those that are."""
        deadline = time.monotonic() + deadline_s
        left = self.family()
        while left and time.monotonic() < deadline:
            psutil.wait_procs(left, 0.5)
            left = self.family()
        return [words_of(each)[:100] for each in left]


def words_of(process: psutil.Process) -> str:
    """Its name and command line; "" where it has ended meanwhile."""
    try:
        return f"{process.name()} {' '.join(process.cmdline())}"
    except psutil.NoSuchProcess:
        return ""


def runs(process: psutil.Process) -> bool:
    """Whether it has not ended."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
