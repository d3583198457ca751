"""Variables of TensorFlow as one vector of numpy's."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Callable, Sequence

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
        self._session, self._variables = session, variables
        self._sizes = [variable.shape.num_elements() for variable in variables]
        self.vector = np.zeros(sum(self._sizes), np.float32)
        with session.graph.as_default():
            held = tf.concat([tf.reshape(variable.read_value(), [-1]) for variable in variables], 0)
        self._take = ready(session, [held], [])

    def take(self) -> None:
        """Have the vector hold what TensorFlow has."""
        (self.vector[:],) = self._take()

    def put(self) -> None:
        """Have TensorFlow hold what the vector has."""
        self._put(self.vector)

    @cached_property
    def _put(self) -> Callable[..., Any]:
        """Build the way back where it is taken: who only acts does not."""
        with self._session.graph.as_default():
            given = tf.placeholder(tf.float32, self.vector.shape)
            parts = zip(self._variables, tf.split(given, self._sizes))
            with tf.control_dependencies([each.assign(tf.reshape(part, each.shape)) for each, part in parts]):
                done = tf.constant(True)
        return ready(self._session, [done], [given])
