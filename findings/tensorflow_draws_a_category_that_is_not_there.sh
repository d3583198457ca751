#!/usr/bin/env bash
# What happens: tf.random.categorical, TensorFlow 2.13.1 on the CPU, draws the category 2 of two where both logits are NaN:
#   the number of the categories, one past the last. Where one logit alone is NaN it never draws that one, and no error is
#   raised in either case. tf.argmax of the same two NaNs is 0.
# One would have guessed: an error, or one of the categories there are, as with tf.argmax.
# Where it matters: a policy that has diverged, all of whose logits are NaN, sends its environment an action that is not in
#   the action space while it explores, and a plausible one, always the same, once it acts greedily: what is reported is an
#   IndexError or a reward of the environment, far from the cause.
#
# Needs Python 3.8 (PYTHON names it, where it is not python3.8 on PATH) and a package index; takes a minute or two.
# Exit status: 0 the library still behaves so, 1 it does not.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3.8}" -m venv "$work/env"
"$work/env/bin/pip" install --quiet --disable-pip-version-check 'tensorflow-cpu==2.13.1' 'numpy==1.23.5'
cd "$work"
cat > check.py <<'PYTHON'
import sys

import tensorflow as tf

NAN = float("nan")
both, one = (set(tf.random.categorical([logits], 1000)[0].numpy().tolist()) for logits in ([NAN, NAN], [NAN, 0.0]))
greedy = int(tf.argmax([NAN, NAN]))
print(f"TensorFlow {tf.__version__}, 1000 draws of two: both logits NaN {both}, the first NaN {one}; argmax {greedy}")
sys.exit((both, one, greedy) != ({2}, {1}, 0))
PYTHON
TF_CPP_MIN_LOG_LEVEL=3 env/bin/python check.py
