#!/usr/bin/env bash
# What happens: tf2onnx 1.16.1 writes random operations that have no seed with the seed 0. Two draws of one model that are
#   independent in TensorFlow 2.13.1 become the same numbers: tf.random.normal(shape) - tf.random.normal(shape) is 0 in the
#   exported model. Each onnxruntime session begins with the same draws, in every process: tf.random.uniform with 0.0000078.
#   tf.random.truncated_normal of a shape that is known is drawn once, during the export, and is a constant from then on.
# One would have guessed: what has no seed stays without one (ONNX's seed may be left out), and each draw is one of its own.
# Where it matters: a policy that is served with its noise, or draws its action by tf.random.categorical, plays the same series
#   after each start and in each of several servers behind one address; noise for two parts of an action is the same twice,
#   and what is to explore explores along a diagonal.
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
import json
import subprocess
import sys

import tensorflow as tf
import tf2onnx

SERVE = """
import json, sys
import numpy, onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
logits = numpy.zeros((1, 8), numpy.float32)
print(json.dumps([session.run(None, {"logits": logits})[0].ravel().tolist() for _ in range(2)]))
"""
NETWORKS = {
    "difference of two normals": lambda x: tf.random.normal(tf.shape(x)) - tf.random.normal(tf.shape(x)),
    "uniform": lambda x: tf.random.uniform(tf.shape(x)),
    "category": lambda x: tf.random.categorical(x, 8),
    "truncated normal": lambda x: x + tf.random.truncated_normal([8]),
}


def draws(function):
    """Give two draws in TensorFlow, and two in each of two processes that serve the exported model."""
    signature = [tf.TensorSpec([None, 8], tf.float32, name="logits")]
    traced = tf.function(function, input_signature=signature)
    tf2onnx.convert.from_function(traced, input_signature=signature, output_path="model.onnx")
    trained = [traced(tf.zeros((1, 8))).numpy().ravel().tolist() for _ in range(2)]
    served = [json.loads(subprocess.check_output([sys.executable, "-c", SERVE, "model.onnx"])) for _ in range(2)]
    return trained, *served


seen = {name: draws(function) for name, function in NETWORKS.items()}
for name, values in seen.items():
    print(name, *("  %s: %s" % (where, [value[:3] for value in two]) for where, two in zip(
        ("TensorFlow", "one process", "another"), values)), sep="\n")
constant = seen["truncated normal"][1]
sys.exit(not (
    all(trained[0] != trained[1] and one == another for trained, one, another in seen.values())
    and any(seen["difference of two normals"][0][0]) and not any(sum(seen["difference of two normals"][1], []))
    and seen["uniform"][1][0] != seen["uniform"][1][1] and seen["category"][1][0] != seen["category"][1][1]
    and constant[0] == constant[1]
))
PYTHON
env/bin/python check.py 2>/dev/null
