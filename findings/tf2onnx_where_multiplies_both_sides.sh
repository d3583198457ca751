#!/usr/bin/env bash
# What happens: tf2onnx 1.16.1 writes tf.where of floats not as ONNX's Where but as a sum of products, condition * x +
#   (1 - condition) * y. What is infinite or NaN on the side that was not chosen makes the result NaN, as 0 * inf is: of
#   tf.where(x > 0, tf.math.log(x), 0.0) TensorFlow 2.13.1 makes [0, 0] for x = [0, 1], the exported model in onnxruntime [nan,
#   0]. Logits masked by tf.where with a side of -inf that is computed, tf.fill(tf.shape(x), -inf), are NaN for the actions
#   that are allowed. With the constant -np.inf itself there is a Where, and the result is right.
# One would have guessed: a choice becomes a choice; ONNX has the operation, and it takes the same three inputs.
# Where it matters: tf.where is what one writes to keep a log, a division or a mask of actions safe. The policy that was trained
#   and the one that is served then differ for just the inputs it is there for: the observation with a 0, the state in which an
#   action is forbidden. ArgMax of such logits is still an action: in what was seen the forbidden one.
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


def both(function, *inputs):
    """Give what TensorFlow and the exported model make of the same inputs, and whether the latter has a Where."""
    signature = [tf.TensorSpec([None] * value.ndim, value.dtype, name="i%d" % i) for i, value in enumerate(inputs)]
    traced = tf.function(function, input_signature=signature)
    model, _ = tf2onnx.convert.from_function(traced, input_signature=signature)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    served, = session.run(None, {"i%d" % i: value for i, value in enumerate(inputs)})
    return traced(*inputs).numpy().tolist(), served.tolist(), "Where" in [node.op_type for node in model.graph.node]


def computed(allowed, logits):
    return tf.where(allowed, logits, tf.fill(tf.shape(logits), -np.inf))


allowed, logits = np.array([[False, True, True]]), np.array([[3, 1, 2]], np.float32)
seen = {
    "safe log": both(lambda x: tf.where(x > 0, tf.math.log(x), 0.0), np.array([0, 1], np.float32)),
    "mask, computed": both(computed, allowed, logits),
    "its action": both(lambda *inputs: tf.argmax(computed(*inputs), axis=1), allowed, logits),
    "mask, constant": both(lambda allowed, logits: tf.where(allowed, logits, -np.inf), allowed, logits),
}
for name, (trained, served, has_where) in seen.items():
    print("%s: TensorFlow %s, exported %s, with a Where: %s" % (name, trained, served, has_where))
inf, nan = float("inf"), float("nan")
sys.exit(repr(list(seen.values())) != repr([
    ([0.0, 0.0], [nan, 0.0], False),
    ([[-inf, 1.0, 2.0]], [[-inf, nan, nan]], False),
    ([2], seen["its action"][1], False),
    ([[-inf, 1.0, 2.0]], [[-inf, 1.0, 2.0]], True),
]) or seen["its action"][1] == [2])
PYTHON
env/bin/python check.py 2>/dev/null
# Seen: safe log: TensorFlow [0.0, 0.0], exported [nan, 0.0]; mask, computed: [[-inf, 1.0, 2.0]], exported [[-inf, nan, nan]]; its
#   action: [2], exported [0]; mask, constant: the same in both
