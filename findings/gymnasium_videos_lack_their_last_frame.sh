#!/usr/bin/env bash
# What happens: RecordVideo of Gymnasium 1.4.0 hands its pictures to MoviePy 2.2.1, which adds up their durations, multiplies the
#   sum by the rate and drops what stands behind the point: of 6 pictures at 30 a second, 0.1999…, it writes 5. An episode of 4
#   steps has its 5 pictures in the file; of one of 5 steps the last, white one is missing. At 30 a second it is so
#   with 130 of the lengths from 1 to 200. Nothing is said.
# One would have guessed: as many pictures in the file as were taken.
# Where it matters: the last picture is the one of the end: the goal, the crash, the last move. It is there in one video and not in
#   another, by the length of the episode; where videos are read again as data, there are fewer pictures than steps.
#
# Needs Python 3.11 (PYTHON names it, where it is not python3.11 on PATH) and a package index; takes about a minute.
# Exit status: 0 the libraries still behave so, 1 they do not.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3.11}" -m venv "$work/env"
"$work/env/bin/pip" install --quiet --disable-pip-version-check 'gymnasium==1.4.0' 'moviepy==2.2.1' 'imageio-ffmpeg==0.8.1' 'numpy==2.4.6'
cd "$work"
cat > check.py <<'PYTHON'
import glob
import sys

import gymnasium
import imageio_ffmpeg
import numpy as np
from gymnasium.wrappers import RecordVideo
from moviepy import ImageSequenceClip


class Fades(gymnasium.Env):
    """Show a picture that is brighter with each step, and a white one at the end."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 30}
    observation_space = gymnasium.spaces.Box(-1, 1, (1,))
    action_space = gymnasium.spaces.Discrete(2)
    render_mode = "rgb_array"

    def __init__(self, length):
        self.length, self.taken = length, 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.taken = 0
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self.taken += 1
        return np.zeros(1, np.float32), 0.0, self.taken == self.length, False, {}

    def render(self):
        return np.full((64, 64, 3), 255 if self.taken == self.length else 100 * self.taken // self.length, np.uint8)


def recorded(length):
    """Record an episode; give the number of pictures in the file, and whether the last one is white."""
    env = RecordVideo(Fades(length), f"of_{length}")
    env.reset()
    for _ in range(length):
        env.step(0)
    env.close()
    reader = imageio_ffmpeg.read_frames(glob.glob(f"of_{length}/*.mp4")[0])
    next(reader)
    pictures = list(reader)
    return len(pictures), bool(np.frombuffer(pictures[-1], np.uint8).mean() > 200)


def shown(length):
    """Count the pictures that a clip of so many shows."""
    return sum(1 for _ in ImageSequenceClip([np.zeros((2, 2, 3), np.uint8)] * length, fps=30).iter_frames())


seen = {length: recorded(length) for length in (4, 5, 6, 9, 11)}
short = [length for length in range(1, 201) if shown(length) != length]
print(f"pictures, and whether the last is white, of episodes of so many steps: {seen}; one short: {len(short)} of 200")
expected = {4: (5, True), 5: (5, False), 6: (6, False), 9: (10, True), 11: (11, False)}
sys.exit(not (seen == expected and len(short) == 130))
PYTHON
env/bin/python check.py 2>/dev/null
