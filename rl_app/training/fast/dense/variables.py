"""Variables of TensorFlow as one vector of numpy's."""

from __future__ import annotations

from typing import Any, Sequence

import numpy as np
from ray.rllib.utils import try_import_tf

from rl_app.training.fast.session import ready

tf = try_import_tf()


class Variables:
    """Takes what they hold, and gives it back.

    Attributes:
        vector: float32, one variable behind the other.
    """

    def __init__(self, session: Any, variables: Sequence[Any]) -> None:
        sizes = [variable.shape.num_elements() for variable in variables]
        self.vector = np.zeros(sum(sizes), np.float32)
        with session.graph.as_default():
            held = tf.concat([tf.reshape(variable.read_value(), [-1]) for variable in variables], 0)
            given = tf.placeholder(tf.float32, held.shape)
            parts = zip(variables, tf.split(given, sizes))
            with tf.control_dependencies([each.assign(tf.reshape(part, each.shape)) for each, part in parts]):
                done = tf.constant(True)
        self._take, self._put = ready(session, [held], []), ready(session, [done], [given])

    def take(self) -> None:
        """Have the vector hold what TensorFlow has."""
        (self.vector[:],) = self._take()

    def put(self) -> None:
        """Have TensorFlow hold what the vector has."""
        self._put(self.vector)
