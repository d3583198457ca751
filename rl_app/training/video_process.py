"""The process beside training that makes videos and the report.

``python -m rl_app.training.video_process SPOOL OUTPUT``
"""

from __future__ import annotations

import ctypes
import json
import math
import os
import pickle
import select
import shutil
import signal
import sys
import time
import traceback
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any, Callable, Iterator, List, Mapping, NamedTuple, Optional

import cloudpickle  # type: ignore[import-untyped]

from rl_app.errors import JobError
from rl_app.job.agents import POLICIES, TABLE
from rl_app.policy import freezing, onnx_conversion, videos
from rl_app.policy.facts import names_several
from rl_app.policy.loading import read_facts
from rl_app.policy.policies import Model, Policies
from rl_app.policy.policy import Policy
from rl_app.reports.live import VIDEOS, Live
from rl_app.storage.artifacts import POLICY
from rl_app.training.spool import (
    CREATOR,
    DEADLINE,
    ENV_CONFIG,
    FOR_NUMPY,
    GRAPH,
    NO_VIDEOS,
    RESERVE_S,
    SAID,
    SIGNATURE,
    TAKEN,
    WAITING,
    share_of_session,
)

LOWEST_PRIORITY = 19
POLL_S = 0.5
# Each video's episode starts alike, so that they compare, and as none that was trained on.
SEED = 500_000
# A video at most each twentieth of the job's time: a long job has a hundred of them, not ten thousand.
SHARE_OF_JOB = 0.05
LONGEST_VIDEO_S = 120.0


# ---- the process


def main(spool: Path, output: Path) -> None:
    """Make videos of what is offered, and the report, until the trainer ends or is gone."""
    give_way()
    die_with_trainer()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the trainer takes a stop, and says when to end
    (output / VIDEOS).mkdir(exist_ok=True)
    live, studio = Live(output), VideoWorker(spool, output / VIDEOS)
    live.refresh()
    while not trainer_ended(POLL_S):
        live.refresh()
        studio.record_next(live)
    deadline = last_deadline(spool)
    if deadline is not None:
        studio.record_last(deadline)


def give_way() -> None:
    """Take the lowest priority, towards processes of other sessions too, such as Ray's workers.

    With automatic groups Linux shares the CPUs between sessions first, and heeds priorities only within one.
    """
    os.nice(LOWEST_PRIORITY)
    os.setsid()
    share_of_session(os.getpid(), LOWEST_PRIORITY)


def die_with_trainer() -> None:
    """Have Linux kill this process when the trainer is gone; elsewhere it ends at the pipe's end."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def trainer_ended(timeout_s: float) -> bool:
    """Wait up to ``timeout_s`` for the end of the pipe from the trainer."""
    return bool(select.select([sys.stdin], [], [], timeout_s)[0])


def last_deadline(spool: Path) -> Optional[float]:
    """Return when the last video is to be done, by the monotonic clock; None where the trainer left no word."""
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


class VideoWorker:
    """Makes videos of the policies in ``spool``; of those that wait, the best and the latest are kept."""

    def __init__(self, spool: Path, directory: Path) -> None:
        self._spool = spool
        self._directory = directory
        self._started = self._last = time.monotonic()
        self._complained = False

    def record_next(self, live: Live) -> None:
        """Make the video of the best policy that waits, unless the last was just now; ``live`` stays so.

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
        """Make the video of the policy offered last, where it still waits."""
        waiting = self._waiting()
        if waiting:
            self._record(waiting[-1], lambda: time.monotonic() >= deadline, deadline - time.monotonic())

    def _waiting(self) -> List[Offer]:
        """Return the best and the latest of what waits, oldest first; what else waits is dropped."""
        directories = sorted((self._spool / WAITING).iterdir())
        waiting = [Offer(each, json.loads((each / POLICY).read_text())) for each in directories]
        kept = [offer for offer in waiting if offer in (_best(waiting), waiting[-1])]
        for offer in waiting:
            if offer not in kept:
                shutil.rmtree(offer.directory)
        return kept

    def _record(self, offer: Offer, over: Callable[[], bool], limit_s: float) -> None:
        """Make a video of what is played until ``over``; what prevents it, or hangs, is said."""
        taken = self._spool / TAKEN
        os.replace(offer.directory, taken)
        file = self._directory / videos.file_name(offer.iteration, offer.reward)
        try:
            if not file.exists() and not (self._spool / NO_VIDEOS).exists():
                with alarm(limit_s + RESERVE_S):
                    model = load_model(taken)
                    create = cloudpickle.loads((self._spool / CREATOR).read_bytes())
                    make_video(create(cloudpickle.loads((taken / ENV_CONFIG).read_bytes())), model, file, over)
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
    """Raise a JobError in the block after ``seconds``: an environment may hang in ``step`` or ``render``."""

    def ring(_: int, __: Optional[FrameType]) -> None:
        raise JobError(f"it took more than {seconds:.0f} s")

    signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, max(seconds, 0.1))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def make_video(env: Any, model: Any, file: Path, over: Callable[[], bool]) -> None:
    """Play an episode of the environment by the model into ``file``, cut where ``over`` holds."""
    try:
        env.seed(SEED)
        every, rate = videos.playback(env)
        pictures = videos.episode(env, model, every)
        videos.encode(until(over, pictures), rate, file)
    finally:
        env.close()


def until(over: Callable[[], bool], pictures: Iterator[Any]) -> Iterator[Any]:
    """Yield the pictures up to the one after which ``over`` holds; at least one."""
    for picture in pictures:
        yield picture
        if over():
            return


def load_model(directory: Path) -> Model:
    """Return what was offered: a policy, or several."""
    facts = read_facts(directory / POLICY)
    if not names_several(facts):
        return load_policy(directory)
    return Policies(facts, {name: load_policy(directory / POLICIES / name) for name in facts[POLICIES]}, facts[TABLE])


def load_policy(directory: Path) -> Policy:
    """Return the offered policy: in numpy where that can play it, else as evaluate and serve run it."""
    file = directory / FOR_NUMPY
    if file.exists():
        return Policy(read_facts(directory / POLICY), pickle.loads(file.read_bytes()).network())
    # Seconds and hundreds of megabytes, which most jobs do without
    import tensorflow.compat.v1 as tf

    inputs, outputs, placeholders = json.loads((directory / SIGNATURE).read_text())
    graph_def = tf.GraphDef.FromString((directory / GRAPH).read_bytes())
    frozen = freezing.FrozenPolicy(graph_def, inputs, outputs, placeholders)
    onnx_conversion.write_onnx(frozen, directory / "policy.onnx")
    return Policy.load(directory)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
    sys.stdout.flush()
    os._exit(0)  # TensorFlow's own end would take seconds that the trainer waits for
