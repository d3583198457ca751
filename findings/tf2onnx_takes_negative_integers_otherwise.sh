#!/usr/bin/env bash
# What happens: a model that tf2onnx 1.16.1 has exported takes negative whole numbers otherwise than the TensorFlow 2.13.1 it came
#   from. x // 3 rounds towards zero: of -4 and -1 it is -1 and 0, where TensorFlow and Python have -2 and -1. x % 3 of them
#   is -1 and -1, not 2 and 2. tf.one_hot(-1, 3) is the last category, where TensorFlow has zeros; -4 and 3, which are
#   outside too, are zeros in both. The same expressions of floats agree.
# One would have guessed: an operation that is exported without a warning means the same.
# Where it matters: cells of a grid and angles that wrap are computed with // and %, and -1 is what many environments give for
#   "none" or "unknown": the network is trained with no category and served with the last one. Tests with what a reset gives,
#   which is seldom negative, pass.
#
# Needs Python 3.8 (PYTHON names it, where it is not python3.8 on PATH) and a package index; takes a minute or two.
# Exit status: 0 the libraries still behave so, 1 they do not.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3.8}" -m venv "$work/env"
"$work/env/bin/pip" install --quiet --disable-pip-version-check 'tensorflow-cpu==2.13.1' 'tf2onnx==1.16.1' 'onnx==1.17.0' \
    'onnxruntime==1.19.2' 'protobuf==3.20.3' 'numpy==1.23.5'
cd "$work"
cat > check.py <<'PYTHON'
import sys

import numpy as np
import onnxruntime
import tensorflow as tf
import tf2onnx


def both(function, *values):
    """Give what TensorFlow and the exported model make of the same numbers."""
    numbers = np.array(values)
    signature = [tf.TensorSpec([None], numbers.dtype, name="x")]
    traced = tf.function(function, input_signature=signature)
    model, _ = tf2onnx.convert.from_function(traced, input_signature=signature)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return traced(numbers).numpy().tolist(), session.run(None, {"x": numbers})[0].tolist()


i, f = np.int32, np.float32
seen = {
    "x // 3": both(lambda x: x // 3, i(-4), i(-1), i(4)),
    "x % 3": both(lambda x: x % 3, i(-4), i(-1), i(4)),
    "one_hot(x, 3)": both(lambda x: tf.one_hot(x, 3), i(-1), i(2), i(-4), i(3)),
    "x // 3.0": both(lambda x: x // 3.0, f(-4), f(-1), f(4)),
    "x % 3.0": both(lambda x: x % 3.0, f(-4), f(-1), f(4)),
}
for name, (trained, served) in seen.items():
    print("%s: TensorFlow %s, exported %s" % (name, trained, served))
none, last = [0.0, 0.0, 0.0], [0.0, 0.0, 1.0]
sys.exit(list(seen.values()) != [
    ([-2, -1, 1], [-1, 0, 1]),
    ([2, 2, 1], [-1, -1, 1]),
    ([none, last, none, none], [last, last, none, none]),
    ([-2.0, -1.0, 1.0], [-2.0, -1.0, 1.0]),
    ([2.0, 2.0, 1.0], [2.0, 2.0, 1.0]),
])
PYTHON
env/bin/python check.py 2>/dev/null
# Seen: x // 3 of -4, -1, 4: TensorFlow [-2, -1, 1], exported [-1, 0, 1]; x % 3: [2, 2, 1], exported [-1, -1, 1]; one_hot(-1, 3):
#   zeros, exported [0.0, 0.0, 1.0]; of floats the same in both
