"""Networks in numpy give what TensorFlow gives, in its types; what numpy cannot play is told apart."""

from __future__ import annotations

import pickle
from typing import Any, Callable, Dict

import numpy as np
import pytest
from ray.rllib.utils import try_import_tf

from rl_app.policy.freezing import FrozenPolicy
from rl_app.policy.numpy_network import NotInNumpyError, NumpyNetwork, converted
from rl_app.policy.numpy_operations import OPERATIONS

tf = try_import_tf()
OBSERVATIONS = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
WEIGHTS = np.random.default_rng(1).normal(size=(4, 4)).astype(np.float32)

BY_KIND: Dict[str, Callable[[Any], Any]] = {
    "Identity": tf.identity,
    "PlaceholderWithDefault": lambda x: tf.placeholder_with_default(0.5, ()) * x,
    "StopGradient": tf.stop_gradient,
    "MatMul": lambda x: tf.matmul(x, WEIGHTS),
    "MatMul, both turned": lambda x: tf.matmul(WEIGHTS, x, transpose_a=True, transpose_b=True),
    "BiasAdd": lambda x: tf.nn.bias_add(x, WEIGHTS[0]),
    "Tanh": tf.tanh,
    "Relu": tf.nn.relu,
    "Elu": tf.nn.elu,
    "Sigmoid": lambda x: tf.sigmoid(1000.0 * x),
    "Softplus": lambda x: tf.nn.softplus(1000.0 * x),
    "Softmax": lambda x: tf.nn.softmax(1000.0 * x),
    "Add": lambda x: tf.raw_ops.Add(x=x, y=WEIGHTS[0]),
    "AddV2": lambda x: x + WEIGHTS[0],
    "AddN": lambda x: tf.add_n([x, x, x]),
    "Sub": lambda x: x - WEIGHTS[0],
    "Mul": lambda x: x * WEIGHTS[0],
    "RealDiv": lambda x: x / WEIGHTS[0],
    "Neg": lambda x: -x,
    "Exp": tf.exp,
    "Log": tf.math.log,
    "Sqrt": tf.sqrt,
    "Square": tf.square,
    "Maximum": lambda x: tf.maximum(x, 0.5),
    "Minimum": lambda x: tf.minimum(x, 0.5),
    "NotEqual": lambda x: tf.not_equal(x, tf.nn.relu(x)),
    "Select": lambda x: tf.raw_ops.Select(condition=tf.not_equal(x, tf.nn.relu(x)), x=x, y=-x),
    "SelectV2": lambda x: tf.raw_ops.SelectV2(condition=tf.not_equal(x, tf.nn.relu(x)), t=x, e=7.0),
    "Cast": lambda x: tf.cast(10.0 * x, tf.int32),
    "Mean": lambda x: tf.reduce_mean(x, axis=1, keepdims=True),
    "Sum": lambda x: tf.reduce_sum(tf.shape(x)),
    "Prod": lambda x: tf.reduce_prod(tf.shape(x)),
    "Max": lambda x: tf.reduce_max(x, axis=[0, 1]),
    "ArgMax": lambda x: tf.argmax(x, axis=-1),
    "ArgMax, int32": lambda x: tf.argmax(x, axis=1, output_type=tf.int32),
    "ZerosLike": tf.zeros_like,
    "Fill": lambda x: tf.fill(tf.shape(x), 2.0),
    "Range": lambda x: tf.range(tf.shape(x)[0]),
    "Shape": tf.shape,
    "Reshape": lambda x: tf.reshape(x, [-1, 2]),
    "Squeeze": lambda x: tf.squeeze(tf.reduce_sum(x, axis=1, keepdims=True), axis=1),
    "ExpandDims": lambda x: tf.expand_dims(x, -1),
    "ConcatV2": lambda x: tf.concat([x, -x], axis=1),
    "Pack": lambda x: tf.stack([x, -x], axis=1),
    "Split": lambda x: tf.split(x, 2, axis=1)[1],
    "SplitV": lambda x: tf.split(x, [1, -1, 2], axis=1)[1],
    "StridedSlice": lambda x: x[:, 1],
    "StridedSlice, of all kinds": lambda x: x[1:, tf.newaxis, ..., ::-2],
}


def frozen(build: Callable[[Any], Any], graph: Any) -> FrozenPolicy:
    with graph.as_default():
        observations = tf.placeholder(tf.float32, [None, 4], "observations")
        action = tf.identity(build(observations), name="action")
    shown = {"observations": (tf.float32, [None, 4])}
    return FrozenPolicy(graph.as_graph_def(), {"observations": observations.name}, {"actions_0": action.name}, shown)


@pytest.mark.parametrize("name", BY_KIND)
def test_it_gives_what_tensorflow_gives(name: str) -> None:
    graph = tf.Graph()
    network = converted(frozen(BY_KIND[name], graph))
    assert name.split(",")[0] in {node.kind for node in network.nodes}
    with tf.Session(graph=graph) as session:
        expected = session.run("action:0", {"observations:0": OBSERVATIONS})
    read: NumpyNetwork = pickle.loads(pickle.dumps(network))
    found = read.network().run({"observations": OBSERVATIONS})["actions_0"]
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_every_operation_is_held_against_tensorflows() -> None:
    assert {name.split(",")[0] for name in BY_KIND} == set(OPERATIONS)


def test_what_has_another_operation_is_told_apart() -> None:
    with pytest.raises(NotInNumpyError, match="LeakyRelu"):
        converted(frozen(tf.nn.leaky_relu, tf.Graph()))
    with pytest.raises(NotInNumpyError, match="Exit"):
        converted(frozen(lambda x: tf.while_loop(lambda y: tf.reduce_sum(y) < 9.0, tf.exp, [x]), tf.Graph()))
