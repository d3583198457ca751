"""Videos and the report, made beside training by one process of the lowest priority.

The trainer's side is :class:`Recorder`; the process is ``python -m rl_app.recorder SPOOL OUTPUT``. Between
the two lie files in the spool directory, each renamed into place, so that neither waits for the other, and a
pipe into which nothing is written: its end tells the process that the trainer has finished or is gone.
"""

from __future__ import annotations

import ctypes
import json
import math
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any, Callable, Dict, Iterator, List, Mapping, NamedTuple, Optional

from rl_app import export, report, videos
from rl_app.errors import JobError, UserError
from rl_app.report import Live, Outcome

# Files of the spool.
OFFER, ENDING, SAID, NO_VIDEOS = "offer-*", "ending.json", "said", "no-videos"

LOWEST_PRIORITY = 19
POLL_S = 0.5
# Each episode starts alike, so that videos compare; training's environments have other seeds.
SEED = 500_000
# A video at most each twentieth of the job's time: a long job has a hundred of them, not ten thousand.
SHARE_OF_JOB = 0.05
LONGEST_VIDEO_S = 120.0
# Left of the deadline for encoding the last pictures and writing the report.
RESERVE_S = 3.0
# For the last video, when the job has ended by itself and when it was stopped or failed.
DEADLINE_S = 20.0
DEADLINE_IN_HASTE_S = 10.0


class Recorder:
    """Keeps ``videos/`` and ``report.html`` in ``output`` while the block runs, and says there how it ended.

    Nothing that goes wrong here ends the training: it is said once, by ``say``, and training goes on.
    ``stop`` is true when the block ends because it was asked to.
    """

    def __init__(
        self, output: Path, facts: Mapping[str, Any], say: Callable[[str], None], stop: object = False
    ) -> None:
        self._output = output
        self._facts = facts
        self._say = say
        self._stop = stop
        self._offered = 0
        self._passed_on = 0
        self._gave_up = False

    def __enter__(self) -> Recorder:
        _write(self._output / report.FACTS, json.dumps(self._facts))
        self._spool = Path(tempfile.mkdtemp(prefix="recorder-"))
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(self._spool), str(self._output)],
            stdin=subprocess.PIPE,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
                "CUDA_VISIBLE_DEVICES": "",
                "SDL_VIDEODRIVER": "dummy",
                "PYGAME_HIDE_SUPPORT_PROMPT": "1",
                "TF_CPP_MIN_LOG_LEVEL": "2",
            },
        )
        return self

    def __exit__(self, kind: Any, error: Optional[BaseException], _: object) -> None:
        if error is not None:
            self.finish(Outcome(report.FAILED, reason_of(kind, error)), DEADLINE_IN_HASTE_S)
        elif self._stop:
            self.finish(Outcome(report.STOPPED), DEADLINE_IN_HASTE_S)
        else:
            self.finish(Outcome(report.DONE), DEADLINE_S)

    def offer(self, trainer: Any, reward: Optional[float]) -> None:
        """Leaves the policy as it is now for a video.

        Args:
            trainer: an RLlib trainer.
            reward: the policy's mean reward; None (or not finite) where no episode has ended.
        """
        self._pass_on()
        if self._gave_up or (self._spool / NO_VIDEOS).exists():
            return
        if self._process.poll() is not None:
            self._give_up(f"no videos from here on: {self._how_it_ended()}")
            return
        reward = reward if reward is not None and math.isfinite(reward) else None
        try:
            frozen = export.freeze(trainer.get_policy())
            training = {"training_iteration": trainer.iteration, "episode_reward_mean": reward}
            facts = export.policy_facts(trainer, frozen, export.mean_std(trainer), training)
            self._offered += 1
            _spool(self._spool / OFFER.replace("*", f"{self._offered:06d}"), frozen, facts)
        except Exception as error:
            traceback.print_exc()
            self._give_up(f"no videos from here on: {type(error).__name__}: {error}")

    def finish(self, outcome: Outcome, deadline_s: float) -> None:
        """Has the report say what became of the job, with a video of the policy that was offered last.

        Returns after at most about ``deadline_s`` seconds; a process that has not ended by then is killed.
        """
        outcome = outcome._replace(ended=time.time())
        assert self._process.stdin is not None
        try:
            _write(self._spool / ENDING, json.dumps([outcome, time.monotonic() + deadline_s - RESERVE_S]))
            self._process.stdin.close()
            self._process.wait(deadline_s)
        except (OSError, subprocess.TimeoutExpired) as error:
            self._process.kill()
            self._process.wait()
            self._say(
                f"the last video is not made: {error if isinstance(error, OSError) else 'it took too long'}"
            )
        self._pass_on()
        if self._process.returncode != 0:
            for cut_short in (self._output / report.VIDEOS).glob(".tmp-*"):
                cut_short.unlink()
            report.write(self._output, outcome)
        shutil.rmtree(self._spool, ignore_errors=True)

    def _pass_on(self) -> None:
        """Says what the process has to say."""
        said = self._spool / SAID
        lines = said.read_text().splitlines() if said.exists() else []
        for line in lines[self._passed_on :]:
            self._say(line)
        self._passed_on = len(lines)

    def _give_up(self, why: str) -> None:
        self._gave_up = True
        self._say(why)

    def _how_it_ended(self) -> str:
        status = self._process.returncode
        return f"the process that makes them ended with status {status}; why is in the log"


def reason_of(kind: Any, error: BaseException) -> str:
    """The last line of what Python says of it; of a UserError the text alone, also where Ray wrapped it."""
    line = "".join(traceback.format_exception_only(kind, error)).strip().splitlines()[-1]
    return line.replace(f"{UserError.__module__}.UserError: ", "")


def _spool(target: Path, frozen: export.FrozenPolicy, facts: Mapping[str, Any]) -> None:
    beside = target.with_name(f".tmp-{target.name}")
    beside.mkdir()
    (beside / "graph.pb").write_bytes(frozen.graph_def.SerializeToString())
    placeholders = {name: (dtype.name, shape) for name, (dtype, shape) in frozen.placeholders.items()}
    (beside / "frozen.json").write_text(json.dumps([frozen.inputs, frozen.outputs, placeholders]))
    (beside / "policy.json").write_text(json.dumps(facts, default=str))
    os.replace(beside, target)


def _write(file: Path, text: str) -> None:
    beside = file.with_name(f".tmp-{file.name}")
    beside.write_text(text)
    os.replace(beside, file)


# ---- the process


class Offer(NamedTuple):
    """A policy that waits for its video."""

    directory: Path
    facts: Dict[str, Any]

    @property
    def iteration(self) -> int:
        return int(self.facts["training"]["training_iteration"])

    @property
    def reward(self) -> Optional[float]:
        reward: Optional[float] = self.facts["training"]["episode_reward_mean"]
        return reward


class SupersededError(Exception):
    """The job ends, and the video under way is not of its last policy."""


def main(spool: Path, output: Path) -> None:
    """Makes videos of what is offered, and the report, until the trainer ends or is gone."""
    os.nice(LOWEST_PRIORITY)
    die_with_parent()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the trainer takes a stop, and says when to end
    (output / report.VIDEOS).mkdir(exist_ok=True)
    live, studio = Live(output), Studio(spool, output / report.VIDEOS)
    while not trainer_ended(POLL_S):
        live.refresh()
        offer = studio.next()
        if offer is not None:
            studio.record(offer, live)
    ending = read_ending(spool)
    if ending is not None:
        report.write(output, ending.outcome)
        if studio.record_last(ending.deadline):
            report.write(output, ending.outcome._replace(ended=time.time()))


class Ending(NamedTuple):
    """What became of the job, and until when, by the clock that processes share, to make videos."""

    outcome: Outcome
    deadline: float


def read_ending(spool: Path) -> Optional[Ending]:
    """What the trainer left when it ended; None where it is gone without."""
    if not (spool / ENDING).exists():
        return None
    outcome, deadline = json.loads((spool / ENDING).read_text())
    return Ending(Outcome(*outcome), deadline)


def die_with_parent() -> None:
    """Has Linux kill this process when the trainer is gone; elsewhere it ends at the pipe's end."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def trainer_ended(timeout_s: float) -> bool:
    """Waits up to ``timeout_s`` for the end of the pipe from the trainer."""
    return bool(select.select([sys.stdin], [], [], timeout_s)[0])


class Studio:
    """Makes a video of each policy offered; of those that wait, only the best and the latest are kept."""

    def __init__(self, spool: Path, directory: Path) -> None:
        self._spool = spool
        self._directory = directory
        self._started = self._last = time.monotonic()
        self._complained = False

    def next(self) -> Optional[Offer]:
        """The policy to record now; None where none waits, or the last video is too recent."""
        waiting = self._waiting()
        if not waiting:
            return None
        best = max(
            waiting, key=lambda offer: (-math.inf if offer.reward is None else offer.reward, offer.iteration)
        )
        for offer in waiting:
            if offer not in (best, waiting[-1]):
                shutil.rmtree(offer.directory)
        now = time.monotonic()
        return best if now - self._last >= SHARE_OF_JOB * (now - self._started) else None

    def record(self, offer: Offer, live: Live) -> None:
        """Makes the video while the report stays live; at the job's end only the latest is gone on with."""
        self._last = time.monotonic()

        def over() -> bool:
            live.refresh()
            if not trainer_ended(0):
                return time.monotonic() - self._last >= LONGEST_VIDEO_S
            ending = read_ending(self._spool)
            if ending is None or offer != self._waiting()[-1]:
                raise SupersededError
            return time.monotonic() >= ending.deadline

        with suppress(SupersededError):
            self._make(offer, over, LONGEST_VIDEO_S)

    def record_last(self, deadline: float) -> bool:
        """Makes the video of the policy offered last, where there is none yet; whether it did."""
        waiting = self._waiting()
        left_s = deadline - time.monotonic()
        return bool(waiting) and self._make(waiting[-1], lambda: time.monotonic() >= deadline, left_s)

    def _waiting(self) -> List[Offer]:
        directories = sorted(self._spool.glob(OFFER))
        return [Offer(each, json.loads((each / "policy.json").read_text())) for each in directories]

    def _make(self, offer: Offer, over: Callable[[], bool], limit_s: float) -> bool:
        """Makes a video of what is played until ``over``; what prevents it, as a hang for ``limit_s``, is said."""
        file = self._directory / videos.file_name(offer.iteration, offer.reward)
        name = offer.facts["env"]
        try:
            if file.exists() or (self._spool / NO_VIDEOS).exists():
                return False
            with alarm(limit_s + RESERVE_S):
                make_video(offer, file, over)
            return True
        except SupersededError:
            raise
        except videos.NotRenderableError as error:
            self._say(f"no videos: env = {name}: {error}")
            (self._spool / NO_VIDEOS).touch()
        except Exception as error:
            traceback.print_exc()
            if not self._complained:
                self._say(f"no video of iteration {offer.iteration}: {str(error) or type(error).__name__}")
            self._complained = True
        finally:
            shutil.rmtree(offer.directory, ignore_errors=True)
        return False

    def _say(self, line: str) -> None:
        with (self._spool / SAID).open("a") as stream:
            stream.write(" ".join(line.split()) + "\n")


def until(over: Callable[[], bool], pictures: Iterator[Any]) -> Iterator[Any]:
    """The pictures up to the one after which ``over`` holds; at least one."""
    for picture in pictures:
        yield picture
        if over():
            return


@contextmanager
def alarm(seconds: float) -> Iterator[None]:
    """Raises a JobError in the block after ``seconds``: an environment may hang in ``step`` or ``render``."""

    def ring(_: int, __: Optional[FrameType]) -> None:
        raise JobError(f"it took more than {seconds:.0f} s")

    signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, max(seconds, 0.1))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def make_video(offer: Offer, file: Path, over: Callable[[], bool]) -> None:
    """Plays an episode of the policy's environment by the policy into ``file``, cut where ``over`` holds."""
    from rl_app.envs.creation import creator

    env = creator(offer.facts["env"], SEED)(offer.facts["env_config"])
    try:
        every, rate = videos.playback(env)
        pictures = videos.episode(env, load_policy(offer.directory), every)
        videos.encode(until(over, pictures), rate, file)
    finally:
        env.close()


def load_policy(directory: Path) -> Any:
    """The offered policy as evaluate and serve run it; the first takes seconds, to import TensorFlow."""
    import tensorflow.compat.v1 as tf

    from rl_app.policies import Policy

    inputs, outputs, placeholders = json.loads((directory / "frozen.json").read_text())
    graph_def = tf.GraphDef.FromString((directory / "graph.pb").read_bytes())
    export.write_onnx(
        export.FrozenPolicy(graph_def, inputs, outputs, placeholders), directory / "policy.onnx"
    )
    return Policy.load(directory)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
