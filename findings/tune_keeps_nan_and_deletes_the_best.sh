#!/usr/bin/env bash
# What happens: Tune 0.8.5's keeper of checkpoints, with keep_checkpoints_num=2 and a checkpoint_score_attr, where the first
#   score is NaN and the others rise from 1 to 5: those of NaN and of 1 are kept to the end, and those of 2, 3 and 4 are
#   deleted. That of 5 is there because it is the newest. Where the NaN comes third it is deleted, and 4 and 5 are kept.
# One would have guessed: a NaN is the first to go, wherever it comes.
# Where it matters: RLlib's episode_reward_mean is NaN until an episode has ended, so that a first checkpoint with a NaN is
#   common: it blocks the list from then on, and what was learned best is deleted without a word.
#
# Needs Python 3.8 (PYTHON names it, where it is not python3.8 on PATH) and a package index; takes a minute or two.
# Exit status: 0 the library still behaves so, 1 it does not.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3.8}" -m venv "$work/env"
"$work/env/bin/pip" install --quiet --disable-pip-version-check 'ray==0.8.5' 'protobuf==3.20.3' 'redis==3.4.1' 'numpy==1.23.5' 'aiohttp==3.8.6' 'setuptools==75.3.0' 'six==1.17.0' \
    'pandas==1.5.3' 'tabulate==0.9.0' 'tensorboardx==2.6.2.2' 'requests==2.32.4'
cd "$work"
cat > check.py <<'PYTHON'
import pathlib
import sys

from ray.tune.checkpoint_manager import Checkpoint, CheckpointManager

NAN = float("nan")


def kept(name, scores):
    """Save a checkpoint for each score, one an iteration; give the scores of those that are left."""
    manager = CheckpointManager(2, "score", lambda checkpoint: pathlib.Path(checkpoint.value).unlink())
    paths = [pathlib.Path(f"{name}-{iteration}") for iteration in range(len(scores))]
    for iteration, (path, score) in enumerate(zip(paths, scores)):
        path.write_text("saved")
        result = {"score": score, "training_iteration": iteration + 1}
        manager.on_checkpoint(Checkpoint(Checkpoint.PERSISTENT, str(path), result))
    return [score for path, score in zip(paths, scores) if path.exists()]


first, third = kept("first", [NAN, 1, 2, 3, 4, 5]), kept("third", [1, 2, NAN, 3, 4, 5])
print(f"kept where NaN comes first {first}, where it comes third {third}")
sys.exit((str(first), third) != ("[nan, 1, 5]", [4, 5]))
PYTHON
env/bin/python check.py
