"""All epochs of SGD over a batch, between taking the weights out of TensorFlow's variables and putting them back."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, NamedTuple, Sequence, Tuple

import numpy as np
from ray.rllib.evaluation.postprocessing import Postprocessing
from ray.rllib.policy.sample_batch import SampleBatch
from ray.rllib.utils import try_import_tf

from rl_app.training.fast.dense.adam import Adam, clip_by_global_norm
from rl_app.training.fast.dense.forward import flat
from rl_app.training.fast.dense.loss import Loss, LossSettings, Minibatch
from rl_app.training.fast.dense.network import Network
from rl_app.training.fast.dense.twin import DISTRIBUTIONS, has_twin, layers_of, on_one_thread
from rl_app.training.fast.dense.variables import Variables
from rl_app.training.fast.minibatches import Bounds, Minibatches
from rl_app.training.fast.session import ready

tf = try_import_tf()
NUMBERS = (
    *(SampleBatch.ACTION_LOGP, SampleBatch.VF_PREDS),
    *(Postprocessing.ADVANTAGES, Postprocessing.VALUE_TARGETS),
)
COEFFICIENTS = ("cur_lr", "kl_coeff", "entropy_coeff")
# With more of them numpy on one thread is no faster than TensorFlow: networks of 128 x 128 have 34,000.
MOST_WEIGHTS = 40_000


def can_learn(policy: Any) -> bool:
    """Return whether numpy can learn for a policy, in less time."""
    return has_twin(policy, MOST_WEIGHTS)


class DenseLearner:
    """Learns for a policy for which it can. What it learns, and what Adam has gathered, is TensorFlow's in between."""

    def __init__(self, policy: Any) -> None:
        on_one_thread()
        self._config, self._dist_class = policy.config, DISTRIBUTIONS[policy.dist_class]
        session, layers = policy.get_session(), layers_of(policy)
        slots, powers = _of_adam(policy, layers.variables)
        self._variables = Variables(session, [*layers.variables, *slots, *powers])
        size = sum(variable.shape.num_elements() for variable in layers.variables)
        weights, mean, square, powers_ = np.split(self._variables.vector, [size, 2 * size, 3 * size])
        self._network, self._adam = Network(weights, *layers.shapes), Adam(weights, mean, square, powers_)
        self._coefficients = ready(session, [getattr(policy, name) for name in COEFFICIENTS], [])

    def run(self, batch: Mapping[str, Any], minibatches: Minibatches) -> Dict[str, Any]:
        """Learn; return the mean over the last epoch of what RLlib's learner tells."""
        self._variables.take()
        rate, kl, entropy = self._coefficients()
        settings, columns = self._settings(kl, entropy), Columns.of(batch)
        with np.errstate(all="ignore"):  # of which TensorFlow says nothing either
            for epoch in minibatches.epochs():
                shuffled = columns.take(epoch.rows)
                said = [self._step(shuffled.part(*each), settings, np.float32(rate)) for each in epoch.bounds]
            figures = self._figures(shuffled, epoch.bounds, said, settings)
        self._variables.put()
        coefficients = {"cur_kl_coeff": float(kl), "cur_lr": float(rate), "entropy_coeff": float(entropy)}
        return {**coefficients, **figures, "model": {}}

    def _settings(self, kl: float, entropy: float) -> LossSettings:
        config = self._config
        value = config["vf_loss_coeff"] if config["use_gae"] else None
        return LossSettings(config["clip_param"], config["vf_clip_param"], value, kl, entropy)

    def _step(self, columns: Columns, settings: LossSettings, rate: Any) -> Tuple[Any, Any]:
        """Take one step of SGD; return what the network said before it, as :class:`Loss` takes it."""
        network = self._network
        outputs, values = network.forward(columns.observations)
        dist_inputs = np.ascontiguousarray(outputs.T)
        of_inputs, of_values = Loss(columns.minibatch(), self._dist_class, dist_inputs, values, settings).gradients()
        network.backward(of_inputs.T, of_values)
        if self._config["grad_clip"] is not None:
            clip_by_global_norm(network.gradients, self._config["grad_clip"])
        self._adam.step(network.gradients, rate)
        return dist_inputs, values

    def _figures(self, columns: Columns, bounds: Bounds, said: List[Any], settings: LossSettings) -> Dict[str, float]:
        """Return the mean over an epoch's minibatches, given what the network said of each: all at once takes less."""
        order = sorted(range(len(bounds)), key=bounds.__getitem__)
        dist_inputs, values = (np.concatenate(each, -1) for each in zip(*(said[index] for index in order)))
        loss = Loss(columns.minibatch(), self._dist_class, dist_inputs, values, settings)
        return loss.figures(np.array([bounds[index][0] for index in order]))


def _of_adam(policy: Any, variables: Sequence[Any]) -> Tuple[List[Any], Sequence[Any]]:
    """Make what Adam keeps of the variables; return the means, then the squares, and the powers."""
    optimizer, session = policy._optimizer, policy.get_session()
    # Named as in the loop of :mod:`~rl_app.training.fast.sgd`, so that either goes on from the other's checkpoints
    with session.graph.as_default(), tf.name_scope("while/"):
        before = set(tf.global_variables())
        optimizer._create_slots(policy.model.trainable_variables())
        session.run(tf.variables_initializer([each for each in tf.global_variables() if each not in before]))
        powers = optimizer._get_beta_accumulators()
    slots = [optimizer.get_slot(variable, name) for name in ("m", "v") for variable in variables]
    return slots, powers


class Columns(NamedTuple):
    """What the loss takes of a batch, so that it takes little time to gather rows of it.

    Attributes:
        numbers: ``[columns, rows]``, single precision: what :class:`Minibatch` holds but for the actions.
    """

    observations: Any
    actions: Any
    numbers: Any

    @classmethod
    def of(cls, batch: Mapping[str, Any]) -> Columns:
        """Return those of a batch, in TensorFlow's types, whatever a callback has made of them."""
        actions = batch[SampleBatch.ACTIONS]
        rows = [*(batch[name] for name in NUMBERS), *batch[SampleBatch.ACTION_DIST_INPUTS].T]
        # An action is one of several, or numbers
        actions = actions.astype(np.int64 if actions.ndim == 1 else np.float32, copy=False)
        return cls(flat(batch[SampleBatch.CUR_OBS]), actions, np.array(rows, np.float32))

    def take(self, rows: Any) -> Columns:
        """Return these rows."""
        return Columns(self.observations.take(rows, 0), self.actions.take(rows, 0), self.numbers.take(rows, 1))

    def part(self, start: int, stop: int) -> Columns:
        """Return the rows from one to another."""
        return Columns(self.observations[start:stop], self.actions[start:stop], self.numbers[:, start:stop])

    def minibatch(self) -> Minibatch:
        """Return what the loss takes of all rows."""
        logp, values, advantages, targets, *_ = self.numbers
        return Minibatch(self.actions, logp, values, advantages, targets, self.numbers[len(NUMBERS) :])
