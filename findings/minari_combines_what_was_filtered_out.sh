#!/usr/bin/env bash
# What happens: combine_datasets of Minari 0.5.4 copies the whole of each dataset, of one that was filtered or split too. Of six
#   episodes of 4 to 9 steps, filter_episodes keeps the three of 7 steps and more, and says 3 episodes and 24 steps; combined
#   with nothing else, as the only dataset in the list, it has all six again, and 39 steps. One of two halves that split_dataset
#   has made becomes both. Nothing is said.
# One would have guessed: what is combined is what the datasets hold, as iterating, sampling and splitting them have it.
# Where it matters: to keep the good episodes of several datasets and to combine them is how a training set is made: it has the
#   bad ones again; and combined training halves hold the halves that were kept for testing.
#
# Needs Python 3.11 (PYTHON names it, where it is not python3.11 on PATH) and a package index; takes about a minute.
# Exit status: 0 the library still behaves so, 1 it does not.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3.11}" -m venv "$work/env"
"$work/env/bin/pip" install --quiet --disable-pip-version-check 'minari[create,hdf5]==0.5.4' 'gymnasium==1.4.0' 'h5py==3.16.0' \
    'pillow==13.0.0' 'numpy==2.4.6'
cd "$work"
cat > check.py <<'PYTHON'
import os
import sys
import warnings

os.environ["MINARI_DATASETS_PATH"] = os.path.abspath("datasets")
warnings.simplefilter("ignore")
import gymnasium
import minari


def lengths(dataset):
    """Give the number of steps of each episode."""
    return [len(episode.rewards) for episode in dataset.iterate_episodes()]


env = minari.DataCollector(gymnasium.make("CartPole-v1"))
for steps in range(4, 10):
    env.reset(seed=1)
    for taken in range(steps):
        env.step(taken % 2)
whole = env.create_dataset("cart/whole-v0")
good = whole.filter_episodes(lambda episode: len(episode.rewards) >= 7)
half = minari.split_dataset(whole, [3, 3], seed=1)[0]
seen = [lengths(each) for each in (good, minari.combine_datasets([good], "cart/good-v0"))]
halves = [sorted(lengths(each)) for each in (half, minari.combine_datasets([half], "cart/half-v0"))]
print(f"filtered {seen[0]}, combined {seen[1]}; a half of three {halves[0]}, combined {halves[1]}")
sys.exit(not (seen == [[7, 8, 9], [4, 5, 6, 7, 8, 9]] and len(halves[0]) == 3 and halves[1] == [4, 5, 6, 7, 8, 9]))
PYTHON
env/bin/python check.py
