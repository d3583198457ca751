"""What most images of this kind do: Flask under gunicorn, and a TensorFlow session on the SavedModel.

MODEL names the model's directory.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import tensorflow.compat.v1 as tf
from flask import Flask, jsonify, request

app = Flask(__name__)
graph = tf.Graph()
session = tf.Session(graph=graph)
with graph.as_default():
    signature = tf.saved_model.load(session, ["serve"], os.path.join(os.environ["MODEL"], "1")).signature_def[
        "serving_default"
    ]
observations = graph.get_tensor_by_name(signature.inputs["observations"].name)
outputs = {name: tensor.name for name, tensor in signature.outputs.items()}


@app.route("/ping")
def ping() -> str:
    return ""


@app.route("/invocations", methods=["POST"])
def invocations() -> Any:
    given = np.array(request.get_json()["observations"], np.float32)
    answers = session.run(outputs, {observations: given})
    return jsonify(outputs={name: values.tolist() for name, values in answers.items()})
