#!/usr/bin/env bash
# What happens: TensorFlow 2.13.1 optimizes not (x > 0) to x <= 0 within a tf.function, which for a NaN is False where the same
#   line, run eagerly, is True; so it is for >=, < and <=. x * 0. becomes the constant 0, where eagerly a NaN stays NaN. With
#   the optimizer's arithmetic_optimization and constant_folding off the results are the eager ones.
# One would have guessed: tf.function makes the same line faster, and an optimizer that is on by default keeps every value.
# Where it matters: tf.where(tf.logical_not(x > 0), 0., x) is written to catch what is not positive, NaN included; it does so
#   in a notebook and lets NaN through in the graph that is trained or exported. A loss that is switched off by a
#   coefficient of 0 is 0 in the one and NaN in the other: the diverged layer behind it shows in a debugger alone.
#
# Needs Python 3.8 (PYTHON names it, where it is not python3.8 on PATH) and a package index; takes about a minute.
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

LINES = {
    "not (x > 0)": lambda x: tf.logical_not(x > 0),
    "not (x >= 0)": lambda x: tf.logical_not(x >= 0),
    "not (x < 0)": lambda x: tf.logical_not(x < 0),
    "not (x <= 0)": lambda x: tf.logical_not(x <= 0),
    "0 where not (x > 0), else x": lambda x: tf.where(tf.logical_not(x > 0), 0.0, x),
    "x * 0": lambda x: x * 0.0,
}
x = tf.constant([float("nan"), 1.0])


def in_a_function():
    return [repr(tf.function(line)(x).numpy().tolist()) for line in LINES.values()]


eager, optimized = [repr(line(x).numpy().tolist()) for line in LINES.values()], in_a_function()
tf.config.optimizer.set_experimental_options({"arithmetic_optimization": False, "constant_folding": False})
unoptimized = in_a_function()
print("of x = [nan, 1]:")
for seen in zip(LINES, eager, optimized, unoptimized):
    print("%s: eager %s, in a tf.function %s, in one without the two optimizations %s" % seen)
sys.exit(not (
    eager == unoptimized == ["[True, False]"] * 2 + ["[True, True]"] * 2 + ["[0.0, 1.0]", "[nan, 0.0]"]
    and optimized == ["[False, False]"] * 2 + ["[False, True]"] * 2 + ["[nan, 1.0]", "[0.0, 0.0]"]
))
PYTHON
env/bin/python check.py 2>/dev/null
