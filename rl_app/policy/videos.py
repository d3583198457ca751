"""Videos of a policy: one episode of its environment, played by the deterministic action, as mp4.

Nothing here needs an X server: Gym's environments draw with pygame, which ``SDL_VIDEODRIVER=dummy`` keeps off
the screen.
"""

from __future__ import annotations

import math
import re
import subprocess
from pathlib import Path
from typing import Any, Iterable, Iterator, List, NamedTuple, Optional, Tuple

import numpy as np

from rl_app.errors import JobError
from rl_app.files import atomic_write
from rl_app.policy.episodes import Step, steps
from rl_app.policy.policies import Model, player_in

Array = Any  # numpy 1.23 has no type for "an array of this shape and dtype"

# Gym 0.22's own environments have the names with a dot, those written for later versions the others.
MODES = ("render_modes", "render.modes")
RATES = ("render_fps", "video.frames_per_second")
USUAL_RATE = 30.0
# An environment that runs at 50 steps a second looks the same at 25 pictures, for half the drawing.
ENOUGH_PICTURES_PER_S = 25.0
MOST_STEPS = 3000

NAME = re.compile(r"iteration-(\d+)-reward-(none|-?\d+\.\d+)\.mp4")


class NotRenderableError(Exception):
    """The environment cannot be drawn as a picture; the text says why."""


class Video(NamedTuple):
    """A video of the policy of ``iteration``; ``reward`` is its mean reward, None before an episode ended."""

    iteration: int
    reward: Optional[float]
    file: Path


def file_name(iteration: int, reward: Optional[float]) -> str:
    """Return the name of a video, by which the newest sorts last."""
    return f"iteration-{iteration:06d}-reward-{'none' if reward is None else format(reward, '07.2f')}.mp4"


def found(directory: Path) -> List[Video]:
    """Return the videos in ``directory``, oldest first."""
    matches = ((NAME.fullmatch(file.name), file) for file in sorted(directory.glob("*.mp4")))
    return [
        Video(int(match.group(1)), None if match.group(2) == "none" else float(match.group(2)), file)
        for match, file in matches
        if match
    ]


def playback(env: Any) -> Tuple[int, float]:
    """Return every which step is drawn, and the pictures a second that show them at the environment's speed.

    Raises:
        NotRenderableError: the environment's metadata names no ``rgb_array``.
    """
    modes = [mode for key in MODES for mode in env.metadata.get(key, ())]
    if "rgb_array" not in modes:
        raise NotRenderableError(f"its metadata names no render mode rgb_array (there: {', '.join(modes) or 'none'})")
    rate = next((float(env.metadata[key]) for key in RATES if env.metadata.get(key)), USUAL_RATE)
    every = max(1, math.floor(rate / ENOUGH_PICTURES_PER_S))
    return every, rate / every


def episode(env: Any, model: Model, every: int = 1, most_steps: int = MOST_STEPS) -> Iterator[Array]:
    """Play one episode, or ``most_steps`` of it.

    Yields and raises:
        As :func:`pictures`.
    """
    return pictures(env, steps(env, player_in(env, model), most=most_steps), every)


def pictures(env: Any, played: Iterable[Step], every: int) -> Iterator[Array]:
    """Draw an environment while it is played.

    Yields:
        Pictures uint8 ``[height, width, 3]``: of the first state, of the last, and of one step in ``every``.

    Raises:
        NotRenderableError: ``render`` is not implemented, or returns something else than a picture.
    """
    for step in played:
        if step.done or step.number % every == 0:
            yield _picture(env)


def _picture(env: Any) -> Array:
    try:
        picture = env.render(mode="rgb_array")
    except NotImplementedError as error:
        raise NotRenderableError(str(error) or 'render(mode="rgb_array") is not implemented') from error
    if not isinstance(picture, np.ndarray) or picture.ndim != 3 or picture.shape[2] != 3:
        shape = list(picture.shape) if isinstance(picture, np.ndarray) else type(picture).__name__
        raise NotRenderableError(f'render(mode="rgb_array") returns {shape}, not an array of [height, width, 3]')
    return picture.astype(np.uint8, copy=False)


def encode(pictures: Iterable[Array], rate: float, file: Path) -> None:
    """Write the pictures, at ``rate`` a second, as H.264 that browsers play while they load it.

    Whatever ``pictures`` raises is passed on, and leaves no file.

    Raises:
        JobError: the pictures differ in size, or ffmpeg failed, whose own message is on standard error.
    """
    with atomic_write(file) as beside:
        _encode(pictures, rate, beside)


def _encode(pictures: Iterable[Array], rate: float, file: Path) -> None:
    encoder: Optional[subprocess.Popen[bytes]] = None
    shape: Tuple[int, ...] = ()
    try:
        for picture in pictures:
            if encoder is None:
                shape = picture.shape
                encoder = subprocess.Popen(_ffmpeg(shape, rate, file), stdin=subprocess.PIPE)
            if picture.shape != shape:
                raise JobError(f"pictures of one episode differ in size: {shape} and {picture.shape}")
            assert encoder.stdin is not None
            encoder.stdin.write(picture.tobytes())
        if encoder is None:
            raise JobError("no picture to make a video of")
        encoder.communicate()
        if encoder.returncode != 0:
            raise JobError(f"ffmpeg ended with status {encoder.returncode}")
    finally:
        if encoder is not None and encoder.poll() is None:
            encoder.kill()
            encoder.communicate()


def _ffmpeg(shape: Tuple[int, ...], rate: float, file: Path) -> List[str]:
    import imageio_ffmpeg  # type: ignore[import-untyped]

    height, width, _ = shape
    raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", f"{rate:g}", "-i", "-"]
    # yuv420p is what every browser plays; it halves the colours' resolution, so that sizes must be even
    video = [
        "-c:v",
        "libx264",
        "-preset",
        "veryfast",
        "-pix_fmt",
        "yuv420p",
        "-vf",
        "pad=ceil(iw/2)*2:ceil(ih/2)*2",
    ]
    whole = ["-threads", "1", "-movflags", "+faststart", "-f", "mp4", str(file)]
    return [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-loglevel", "error", "-y", *raw, *video, *whole]
