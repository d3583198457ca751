#!/usr/bin/env bash
# What happens: AtariPreprocessing of Gymnasium 1.4.0 with terminal_on_life_loss=True ends an episode with a life, and the reset
#   after it begins a new game: four episodes of Breakout all begin with five lives at frame 0 and end with four.
# One would have guessed: the next episode goes on with the next life, and a new game begins when all are lost, as with the
#   wrapper EpisodicLifeEnv of Baselines, and of those that came after it.
# Where it matters: an agent that is trained so never sees what a game is like after its first life: the bricks that are left,
#   the speed and the difficulty it has reached. Evaluated on whole games it is worse than it was in training, and numbers
#   of frames and scores cannot be compared with those of peers that are said to have the same preprocessing.
#
# Needs Python 3.11 (PYTHON names it, where it is not python3.11 on PATH) and a package index; takes about a minute.
# Exit status: 0 the library still behaves so, 1 it does not.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3.11}" -m venv "$work/env"
"$work/env/bin/pip" install --quiet --disable-pip-version-check 'gymnasium==1.4.0' 'numpy==2.4.6' 'ale-py==0.12.1' 'opencv-python-headless==5.0.0.93'
cd "$work"
cat > check.py <<'PYTHON'
import sys

import ale_py
import gymnasium
from gymnasium.wrappers import AtariPreprocessing

gymnasium.register_envs(ale_py)
FIRE = 1
game = gymnasium.make("ALE/Breakout-v5", frameskip=1, repeat_action_probability=0.0)
env = AtariPreprocessing(game, terminal_on_life_loss=True, noop_max=0)
env.action_space.seed(1)
seen = []
for episode in range(4):
    _, info = env.reset(seed=1 if episode == 0 else None)
    begin, steps, terminated, truncated = (info["lives"], info["episode_frame_number"]), 0, False, False
    while not (terminated or truncated):
        _, _, terminated, truncated, info = env.step(FIRE if steps % 20 == 0 else env.action_space.sample())
        steps += 1
    seen.append((begin, info["lives"], game.unwrapped.ale.game_over()))
    print(f"episode {episode}: begins with {begin[0]} lives at frame {begin[1]}, ends with {info['lives']} after {steps} steps")
sys.exit(seen != [((5, 0), 4, False)] * 4)
PYTHON
env/bin/python check.py
