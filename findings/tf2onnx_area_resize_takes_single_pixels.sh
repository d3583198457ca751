#!/usr/bin/env bash
# What happens: tf2onnx 1.16.1 exports tf.image.resize with method="area", which takes the mean of the pixels that become one,
#   as a Resize of mode nearest, which takes one of them. Of the numbers 0 to 15 as 4 x 4, made 2 x 2, TensorFlow 2.13.1 makes
#   [[2.5, 4.5], [10.5, 12.5]], the exported model in onnxruntime [[0, 2], [8, 10]]. A white line, one pixel high, in a
#   black picture of 210 x 160 that is made 84 x 84 is grey in the one, and not there in the other. bilinear agrees.
# One would have guessed: an export that has no such operation refuses it, or writes means.
# Where it matters: area is how Atari's screens are made small, and what is recommended for making any picture smaller. A model
#   that has the resize in it, so that it may be served raw pictures, is served with a policy that does not see what it saw.
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


def both(picture, size, method):
    """Give what TensorFlow and the exported model make of a picture."""
    signature = [tf.TensorSpec([None, *picture.shape, 1], tf.float32, name="pictures")]
    resize = tf.function(lambda pictures: tf.image.resize(pictures, size, method=method), input_signature=signature)
    model, _ = tf2onnx.convert.from_function(resize, input_signature=signature)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    pictures = picture[None, :, :, None]
    served, = session.run(None, {"pictures": pictures})
    return resize(pictures).numpy()[0, :, :, 0], served[0, :, :, 0]


numbers, screen = np.arange(16, dtype=np.float32).reshape(4, 4), np.zeros((210, 160), np.float32)
screen[101] = 255
small, bilinear = [[value.tolist() for value in both(numbers, [2, 2], method)] for method in ("area", "bilinear")]
line = [round(float(value.max())) for value in both(screen, [84, 84], "area")]
print("4 x 4 to 2 x 2: TensorFlow %s, exported %s; bilinear %s, %s" % (*small, *bilinear))
print("the brightest pixel of a white line in 84 x 84: TensorFlow %s, exported %s" % tuple(line))
sys.exit(not (small == [[[2.5, 4.5], [10.5, 12.5]], [[0, 2], [8, 10]]] and np.allclose(*bilinear) and line == [102, 0]))
PYTHON
env/bin/python check.py 2>/dev/null
