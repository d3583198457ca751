"""What a policy says of many observations, by its twin."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional

import numpy as np
from ray.rllib.policy.sample_batch import SampleBatch

from rl_app.policy import soundness
from rl_app.training.fast.dense.network import Network
from rl_app.training.fast.dense.twin import DISTRIBUTIONS, has_twin, layers_of, on_one_thread
from rl_app.training.fast.dense.variables import Variables
from rl_app.training.fast.forward import in_fragments

Array = Any  # np.ndarray, which has no parameters on Python 3.8
# Weights times environments: with more, numpy on one thread takes longer than TensorFlow with the time to enter it.
MOST_PRODUCTS = 300_000


def can_act(policy: Any, environments: int) -> bool:
    """Return whether numpy can act for a policy in so many environments at once, in less time."""
    return has_twin(policy, MOST_PRODUCTS // environments)


class DenseForward:
    """As :class:`rl_app.training.fast.forward.Forward`, with the values of each whole fragment at once.

    The actions are drawn by a generator of numpy's and not by TensorFlow's.
    """

    def __init__(self, policy: Any) -> None:
        on_one_thread()
        layers = layers_of(policy)
        self._variables = Variables(policy.get_session(), layers.variables)
        self._network = Network(self._variables.vector, *layers.shapes)
        self._dist_class = DISTRIBUTIONS[policy.dist_class]
        self._values_later = in_fragments(policy.config)
        self._generator = np.random.default_rng(_seed_of(policy.config))

    def begin(self) -> None:
        """Take the weights for what comes next.

        Raises:
            JobError: they are no longer finite numbers, of which actions would be drawn that mean nothing.
        """
        self._variables.take()
        soundness.check_vector(self._variables.vector)

    def act(self, observations: Array, actions: Array, rewards: Array) -> Dict[str, Array]:
        """Return what to do next; what was before means nothing to this network."""
        seen, values = flat(observations), {}
        if self._values_later:
            dist_inputs = self._network.dist_inputs(seen)
        else:
            dist_inputs, values[SampleBatch.VF_PREDS] = self._network.forward(seen)
        chosen = self._dist_class.draw(np.ascontiguousarray(dist_inputs.T), self._generator)
        return {SampleBatch.ACTIONS: chosen, SampleBatch.ACTION_DIST_INPUTS: dist_inputs, **values}

    def values(self, observations: Array, actions: Array, rewards: Array) -> Array:
        """Return the values of the observations."""
        return self._network.values(flat(observations))

    def log_likelihood(self, dist_inputs: Array, actions: Array) -> Array:
        """Return how likely the actions were."""
        return self._dist_class(np.ascontiguousarray(dist_inputs.T)).logp(actions)


def _seed_of(config: Mapping[str, Any]) -> Optional[List[int]]:
    """Return what a worker's generator begins with; None for another one each time.

    It is not drawn from numpy's global generator: an environment may well seed that, and all workers would be alike.
    """
    return None if config["seed"] is None else [config["seed"], config["worker_index"]]


def flat(observations: Array) -> Array:
    """Return them as the network takes them, ``[rows, numbers]``."""
    return np.asarray(observations, np.float32).reshape(len(observations), -1)
