"""Videos and the report, made beside training by one process of the lowest priority.

The trainer's side is :class:`Recorder`; the process is ``python -m rl_app.training.video_process``. Between
the two lie files in the spool directory, each renamed into place, so that neither waits for the other, and a
pipe into which nothing is written: its end tells the process that the trainer has finished or is gone.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Mapping, Optional

import cloudpickle  # type: ignore[import-untyped]

from rl_app.errors import reason_of
from rl_app.files import write_text
from rl_app.reports.live import VIDEOS, write
from rl_app.reports.training import DONE, FAILED, STOPPED, Outcome
from rl_app.storage import layout
from rl_app.training import video_process
from rl_app.training.spool import CREATOR, DEADLINE, NO_VIDEOS, RESERVE_S, SAID, TAKEN, WAITING, leave, share_of_session

if TYPE_CHECKING:
    from rl_app.envs.contract.creation import Creator

HERE = str(Path(__file__).parents[2])
# For the last video, when the job has ended by itself and when it was stopped or failed.
LAST_VIDEO_S = 20.0
LAST_VIDEO_IN_HASTE_S = 10.0


class Recorder:
    """Keeps ``videos/`` and ``report.html`` in ``output`` while the block runs, and says there how it ended.

    Nothing that goes wrong in it ends the training: ``say`` is given one line, and training goes on.
    ``facts`` are those of :func:`rl_app.reports.facts.facts`; ``create`` makes the environment from its ``env_config``;
    ``stop`` is true at the end of a block that was asked to end.
    """

    def __init__(
        self,
        output: Path,
        facts: Mapping[str, Any],
        create: Creator,
        say: Callable[[str], None],
        stop: object = False,
    ) -> None:
        self._output = output
        self._facts = facts
        self._create = create
        self._say = say
        self._stop = stop
        self._offered = 0
        self._said = 0
        self._gave_up = False

    def __enter__(self) -> Recorder:
        write_text(self._output / layout.FACTS, json.dumps(self._facts))
        self._spool = Path(tempfile.mkdtemp(prefix="recorder-"))
        (self._spool / WAITING).mkdir()
        (self._spool / CREATOR).write_bytes(cloudpickle.dumps(self._create))
        self._process = subprocess.Popen(
            [sys.executable, "-m", video_process.__name__, str(self._spool), str(self._output)],
            stdin=subprocess.PIPE,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(filter(None, [HERE, os.environ.get("PYTHONPATH")])),
                "CUDA_VISIBLE_DEVICES": "",
                "SDL_VIDEODRIVER": "dummy",
                "SDL_AUDIODRIVER": "dummy",
                "PYGAME_HIDE_SUPPORT_PROMPT": "1",
                "TF_CPP_MIN_LOG_LEVEL": "2",
            },
        )
        return self

    def __exit__(self, kind: Any, error: Optional[BaseException], _: object) -> None:
        if error is not None:
            self.finish(Outcome(FAILED, reason_of(error)), LAST_VIDEO_IN_HASTE_S)
        elif self._stop:
            self.finish(Outcome(STOPPED), LAST_VIDEO_IN_HASTE_S)
        else:
            self.finish(Outcome(DONE), LAST_VIDEO_S)

    def offer(self, trainer: Any, reward: Optional[float]) -> None:
        """Leave the policy as it is now for a video, within milliseconds.

        Args:
            trainer: an RLlib trainer.
            reward: the policy's mean reward; None (or not finite) where no episode has ended.
        """
        self._look_after()
        if self._gave_up or (self._spool / NO_VIDEOS).exists():
            return
        try:
            training = {
                "training_iteration": trainer.iteration,
                "episode_reward_mean": reward if reward is not None and math.isfinite(reward) else None,
            }
            self._offered += 1
            leave(trainer, training, self._spool / WAITING / f"{self._offered:06d}")
        except Exception as error:
            traceback.print_exc()
            self._give_up(f"no more videos: {type(error).__name__}: {error}")

    def finish(self, outcome: Outcome, deadline_s: float) -> None:
        """End the process, and have the report say what became of the job.

        Where a policy waits for its video, the one offered last gets it, for which there are ``deadline_s``.
        """
        self._look_after()
        if not self._gave_up and (any((self._spool / WAITING).iterdir()) or (self._spool / TAKEN).exists()):
            self._last_video(deadline_s)
        self._process.kill()
        self._process.communicate()  # waits, and closes the pipe
        self._pass_on()
        for cut_short in (self._output / VIDEOS).glob(".tmp-*"):
            cut_short.unlink()
        try:
            write(self._output, outcome._replace(ended=time.time()))
        except OSError as error:
            self._say(f"the report is not written: {error}")
        shutil.rmtree(self._spool, ignore_errors=True)

    def _last_video(self, deadline_s: float) -> None:
        assert self._process.stdin is not None
        share_of_session(self._process.pid, 0)  # the training, to which it gave way, is over
        try:
            write_text(self._spool / DEADLINE, json.dumps(time.monotonic() + deadline_s - RESERVE_S))
            self._process.stdin.close()
            self._process.wait(deadline_s)
        except subprocess.TimeoutExpired:
            self._say(f"the last video is not made: it took more than {deadline_s:.0f} s")
        except OSError as error:
            self._say(f"the last video is not made: {error}")

    def _pass_on(self) -> None:
        """Say what the process has to say."""
        said = self._spool / SAID
        lines = said.read_text().splitlines() if said.exists() else []
        for line in lines[self._said :]:
            self._say(line)
        self._said = len(lines)

    def _look_after(self) -> None:
        """Pass on what there is, and say when the process is gone that should not be."""
        self._pass_on()
        status = self._process.poll()
        if status is not None and not self._gave_up:
            self._give_up(f"no more videos: the process that makes them ended with status {status}; see the log")

    def _give_up(self, why: str) -> None:
        self._gave_up = True
        self._say(why)
