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
from typing import TYPE_CHECKING, Any, Callable, Iterator, List, Mapping, NamedTuple, Optional

import cloudpickle  # type: ignore[import-untyped]

from rl_app import export, report, videos
from rl_app.errors import JobError, UserError
from rl_app.report import Live, Outcome

if TYPE_CHECKING:
    from rl_app.envs.creation import Creator

# What lies in the spool: policies that wait for a video, the one that is recorded, when to be done at the
# end, lines for the trainer to say, and the sign that there will be no videos.
WAITING, TAKEN, DEADLINE, SAID, NO_VIDEOS = "waiting", "taken", "deadline", "said", "no-videos"
# And what makes the environment, a user's own too.
CREATOR = "creator.pkl"

HERE = str(Path(__file__).parents[1])
LOWEST_PRIORITY = 19
POLL_S = 0.5
# Each video's episode starts alike, so that they compare, and as none that was trained on.
SEED = 500_000
# A video at most each twentieth of the job's time: a long job has a hundred of them, not ten thousand.
SHARE_OF_JOB = 0.05
LONGEST_VIDEO_S = 120.0
# Left of a deadline for encoding the last pictures.
RESERVE_S = 3.0
# For the last video, when the job has ended by itself and when it was stopped or failed.
LAST_VIDEO_S = 20.0
LAST_VIDEO_IN_HASTE_S = 10.0


class Recorder:
    """Keeps ``videos/`` and ``report.html`` in ``output`` while the block runs, and says there how it ended.

    Nothing that goes wrong in it ends the training: ``say`` is given one line, and training goes on.
    ``facts`` are those of :func:`rl_app.report.facts`; ``create`` makes the environment from its ``env_config``;
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
        _write(self._output / report.FACTS, json.dumps(self._facts))
        self._spool = Path(tempfile.mkdtemp(prefix="recorder-"))
        (self._spool / WAITING).mkdir()
        (self._spool / CREATOR).write_bytes(cloudpickle.dumps(self._create))
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(self._spool), str(self._output)],
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
            self.finish(Outcome(report.FAILED, reason_of(kind, error)), LAST_VIDEO_IN_HASTE_S)
        elif self._stop:
            self.finish(Outcome(report.STOPPED), LAST_VIDEO_IN_HASTE_S)
        else:
            self.finish(Outcome(report.DONE), LAST_VIDEO_S)

    def offer(self, trainer: Any, reward: Optional[float]) -> None:
        """Leaves the policy as it is now for a video; takes milliseconds.

        Args:
            trainer: an RLlib trainer.
            reward: the policy's mean reward; None (or not finite) where no episode has ended.
        """
        self._look_after()
        if self._gave_up or (self._spool / NO_VIDEOS).exists():
            return
        try:
            frozen = export.freeze(trainer.get_policy())
            training = {
                "training_iteration": trainer.iteration,
                "episode_reward_mean": reward if reward is not None and math.isfinite(reward) else None,
            }
            facts = export.policy_facts(trainer, frozen, export.mean_std(trainer), training)
            self._offered += 1
            _spool(frozen, facts, self._spool / WAITING / f"{self._offered:06d}")
        except Exception as error:
            traceback.print_exc()
            self._give_up(f"no more videos: {type(error).__name__}: {error}")

    def finish(self, outcome: Outcome, deadline_s: float) -> None:
        """Ends the process, and has the report say what became of the job.

        Where a policy waits for its video, the one offered last gets it, for which there are ``deadline_s``.
        """
        self._look_after()
        if not self._gave_up and (any((self._spool / WAITING).iterdir()) or (self._spool / TAKEN).exists()):
            self._last_video(deadline_s)
        self._process.kill()
        self._process.wait()
        self._pass_on()
        for cut_short in (self._output / report.VIDEOS).glob(".tmp-*"):
            cut_short.unlink()
        try:
            report.write(self._output, outcome._replace(ended=time.time()))
        except OSError as error:
            self._say(f"the report is not written: {error}")
        shutil.rmtree(self._spool, ignore_errors=True)

    def _last_video(self, deadline_s: float) -> None:
        assert self._process.stdin is not None
        share_of_session(self._process.pid, 0)  # the training, to which it gave way, is over
        try:
            _write(self._spool / DEADLINE, json.dumps(time.monotonic() + deadline_s - RESERVE_S))
            self._process.stdin.close()
            self._process.wait(deadline_s)
        except subprocess.TimeoutExpired:
            self._say(f"the last video is not made: it took more than {deadline_s:.0f} s")
        except OSError as error:
            self._say(f"the last video is not made: {error}")

    def _pass_on(self) -> None:
        """Says what the process has to say."""
        said = self._spool / SAID
        lines = said.read_text().splitlines() if said.exists() else []
        for line in lines[self._said :]:
            self._say(line)
        self._said = len(lines)

    def _look_after(self) -> None:
        """Passes on what there is, and says when the process is gone that should not be."""
        self._pass_on()
        status = self._process.poll()
        if status is not None and not self._gave_up:
            self._give_up(f"no more videos: the process that makes them ended with status {status}; see the log")

    def _give_up(self, why: str) -> None:
        self._gave_up = True
        self._say(why)


def reason_of(kind: Any, error: BaseException) -> str:
    """The last line of what Python says of it; of a UserError the text alone, also where Ray wrapped it."""
    line = "".join(traceback.format_exception_only(kind, error)).strip().splitlines()[-1]
    return line.replace(f"{UserError.__module__}.UserError: ", "")


def _spool(frozen: export.FrozenPolicy, facts: Mapping[str, Any], target: Path) -> None:
    beside = target.parents[1] / f".tmp-{target.name}"
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


def main(spool: Path, output: Path) -> None:
    """Makes videos of what is offered, and the report, until the trainer ends or is gone."""
    give_way()
    die_with_trainer()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the trainer takes a stop, and says when to end
    (output / report.VIDEOS).mkdir(exist_ok=True)
    live, studio = Live(output), Studio(spool, output / report.VIDEOS)
    live.refresh()
    import_all()
    while not trainer_ended(POLL_S):
        live.refresh()
        studio.record_next(live)
    deadline = last_deadline(spool)
    if deadline is not None:
        studio.record_last(deadline)


def give_way() -> None:
    """Takes the lowest priority, towards processes of other sessions too, such as Ray's workers.

    With automatic groups Linux shares the CPUs between sessions first, and heeds priorities only within one.
    """
    os.nice(LOWEST_PRIORITY)
    os.setsid()
    share_of_session(os.getpid(), LOWEST_PRIORITY)


def share_of_session(process: int, nice: int) -> None:
    """Sets how much of the CPUs the session of a process gets, on the scale of nice, where Linux has such groups."""
    with suppress(OSError):
        Path(f"/proc/{process}/autogroup").write_text(str(nice))


def die_with_trainer() -> None:
    """Has Linux kill this process when the trainer is gone; elsewhere it ends at the pipe's end."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def import_all() -> None:
    """Imports what a video needs: that takes seconds, which the trainer needs as well to start."""
    import onnxruntime  # noqa: F401
    import tensorflow  # noqa: F401
    import tf2onnx  # noqa: F401


def trainer_ended(timeout_s: float) -> bool:
    """Waits up to ``timeout_s`` for the end of the pipe from the trainer."""
    return bool(select.select([sys.stdin], [], [], timeout_s)[0])


def last_deadline(spool: Path) -> Optional[float]:
    """When the last video is to be done, by the monotonic clock; None where the trainer left no word."""
    file = spool / DEADLINE
    return float(json.loads(file.read_text())) if file.exists() else None


class Offer(NamedTuple):
    """A policy that waits for its video, with what policy.json says of it."""

    directory: Path
    facts: Mapping[str, Any]

    @property
    def iteration(self) -> int:
        return int(self.facts["training"]["training_iteration"])

    @property
    def reward(self) -> Optional[float]:
        reward: Optional[float] = self.facts["training"]["episode_reward_mean"]
        return reward


class SupersededError(Exception):
    """The job ends, and the video under way is not of its last policy."""


class Studio:
    """Makes videos of the policies in ``spool``; of those that wait, the best and the latest are kept."""

    def __init__(self, spool: Path, directory: Path) -> None:
        self._spool = spool
        self._directory = directory
        self._started = self._last = time.monotonic()
        self._complained = False

    def record_next(self, live: Live) -> None:
        """Makes the video of the best policy that waits, unless the last was just now; ``live`` stays so.

        At the end of the job it is gone on with only if no policy was offered later.
        """
        begun = time.monotonic()
        waiting = self._waiting()
        if not waiting or begun - self._last < SHARE_OF_JOB * (begun - self._started):
            return
        self._last = begun

        def over() -> bool:
            live.refresh()
            later = self._waiting()
            if not trainer_ended(0):
                return time.monotonic() - begun >= LONGEST_VIDEO_S
            deadline = last_deadline(self._spool)
            if deadline is None or later:
                raise SupersededError
            return time.monotonic() >= deadline

        with suppress(SupersededError):
            self._record(_best(waiting), over, LONGEST_VIDEO_S)

    def record_last(self, deadline: float) -> None:
        """Makes the video of the policy offered last, where it still waits."""
        waiting = self._waiting()
        if waiting:
            self._record(waiting[-1], lambda: time.monotonic() >= deadline, deadline - time.monotonic())

    def _waiting(self) -> List[Offer]:
        """The best and the latest of what waits, oldest first; what else waits is dropped."""
        directories = sorted((self._spool / WAITING).iterdir())
        waiting = [Offer(each, json.loads((each / "policy.json").read_text())) for each in directories]
        kept = [offer for offer in waiting if offer in (_best(waiting), waiting[-1])]
        for offer in waiting:
            if offer not in kept:
                shutil.rmtree(offer.directory)
        return kept

    def _record(self, offer: Offer, over: Callable[[], bool], limit_s: float) -> None:
        """Makes a video of what is played until ``over``; what prevents it, or hangs, is said."""
        taken = self._spool / TAKEN
        os.replace(offer.directory, taken)
        file = self._directory / videos.file_name(offer.iteration, offer.reward)
        try:
            if not file.exists() and not (self._spool / NO_VIDEOS).exists():
                with alarm(limit_s + RESERVE_S):
                    policy = load_policy(taken)
                    create = cloudpickle.loads((self._spool / CREATOR).read_bytes())
                    make_video(create(offer.facts["env_config"]), policy, file, over)
        except SupersededError:
            raise
        except videos.NotRenderableError as error:
            self._say(f"no videos: env = {offer.facts['env']}: {error}")
            (self._spool / NO_VIDEOS).touch()
        except Exception as error:
            traceback.print_exc()
            if not self._complained:
                self._say(f"no video of iteration {offer.iteration}: {str(error) or type(error).__name__}")
            self._complained = True
        finally:
            shutil.rmtree(taken)

    def _say(self, line: str) -> None:
        with (self._spool / SAID).open("a") as stream:
            stream.write(" ".join(line.split()) + "\n")


def _best(offers: List[Offer]) -> Offer:
    return max(offers, key=lambda offer: -math.inf if offer.reward is None else offer.reward)


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


def make_video(env: Any, policy: Any, file: Path, over: Callable[[], bool]) -> None:
    """Plays an episode of the environment by the policy into ``file``, cut where ``over`` holds."""
    try:
        env.seed(SEED)
        every, rate = videos.playback(env)
        pictures = videos.episode(env, policy, every)
        videos.encode(until(over, pictures), rate, file)
    finally:
        env.close()


def until(over: Callable[[], bool], pictures: Iterator[Any]) -> Iterator[Any]:
    """The pictures up to the one after which ``over`` holds; at least one."""
    for picture in pictures:
        yield picture
        if over():
            return


def load_policy(directory: Path) -> Any:
    """The offered policy, as evaluate and serve run it."""
    import tensorflow.compat.v1 as tf

    from rl_app.policies import Policy

    inputs, outputs, placeholders = json.loads((directory / "frozen.json").read_text())
    graph_def = tf.GraphDef.FromString((directory / "graph.pb").read_bytes())
    frozen = export.FrozenPolicy(graph_def, inputs, outputs, placeholders)
    export.write_onnx(frozen, directory / "policy.onnx")
    return Policy.load(directory)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
    sys.stdout.flush()
    os._exit(0)  # TensorFlow's own end would take seconds that the trainer waits for
