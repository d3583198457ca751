"""All epochs of SGD over a batch as a loop inside TensorFlow's graph: one call of the session a batch.

In the loop's body stands the policy's own loss, over a minibatch gathered from the batch, with the policy's own
clipping of gradients and its own optimizer: RLlib's, whatever the network.
"""

from __future__ import annotations

import copy
import time
from typing import Any, Dict, Mapping, Optional, Tuple

import numpy as np
from ray.rllib.agents.ppo.ppo_tf_policy import clip_gradients, kl_and_loss_stats, ppo_surrogate_loss
from ray.rllib.evaluation.postprocessing import Postprocessing
from ray.rllib.models.modelv2 import ModelV2
from ray.rllib.policy.sample_batch import SampleBatch
from ray.rllib.utils import try_import_tf

from rl_app.training.fast.minibatches import Minibatches
from rl_app.training.fast.no_loop import NoLoopError
from rl_app.training.fast.session import ready

tf = try_import_tf()
# A call of the session hears no signal, such as that to stop: one that would take longer is made in parts.
LONGEST_CALL_S = 1.0
FIRST_STEPS = 8
# What PPO's loss takes of a batch, besides what the network does
COLUMNS = (
    *(Postprocessing.VALUE_TARGETS, Postprocessing.ADVANTAGES, SampleBatch.ACTIONS, SampleBatch.ACTION_DIST_INPUTS),
    *(SampleBatch.ACTION_LOGP, SampleBatch.VF_PREDS),
)
FIGURES = (
    *("cur_kl_coeff", "cur_lr", "total_loss", "policy_loss", "vf_loss", "vf_explained_var", "kl", "entropy"),
    "entropy_coeff",
)


def obstacle(policy: Any) -> Optional[str]:
    """Return why a policy cannot be trained in a loop; None where it can."""
    if policy.is_recurrent():
        return "the network has a memory"
    if policy.config["num_gpus"]:
        return "a GPU trains"
    if policy.model.update_ops():
        return "the network has statistics of its own to update"
    if any(getattr(type(policy.model), name) is not getattr(ModelV2, name) for name in ("custom_loss", "metrics")):
        return "the network has a loss or metrics of its own"
    if not all(hasattr(variable, "handle") for variable in policy.model.trainable_variables()):
        return "the network has variables of TensorFlow's old kind"
    return None


class Loop:
    """The loop for a policy, added to its graph; raises NoLoopError where it cannot be."""

    def __init__(self, policy: Any) -> None:
        self._at_once = FIRST_STEPS
        session = policy.get_session()
        with session.graph.as_default():
            before = set(tf.global_variables())
            self._inputs = [(name, tf.placeholder(given.dtype, given.shape)) for name, given in policy._loss_inputs]
            rows, bounds = tf.placeholder(tf.int32, [None]), tf.placeholder(tf.int32, [None, 2])
            last_epoch = tf.placeholder(tf.int32, [])
            sums = _checked_loop(policy, dict(self._inputs), rows, bounds, last_epoch)
            session.run(tf.variables_initializer([each for each in tf.global_variables() if each not in before]))
        self._run = ready(session, [sums], [rows, bounds, last_epoch, *(fed for _, fed in self._inputs)])

    def run(self, batch: Mapping[str, Any], minibatches: Minibatches) -> Dict[str, Any]:
        """Learn; return the mean over the last epoch of what RLlib's learner tells."""
        columns = [batch[name] for name, _ in self._inputs]
        sums, done, steps = np.zeros(len(FIGURES)), 0, len(minibatches.bounds)
        while done < steps:
            bounds, began = minibatches.bounds[done : done + self._at_once], time.perf_counter()
            sums += self._run(minibatches.rows, bounds, minibatches.last_epoch - done, *columns)[0]
            done += len(bounds)
            took = (time.perf_counter() - began) / len(bounds)
            self._at_once = max(1, int(LONGEST_CALL_S / took))
        return {**dict(zip(FIGURES, (sums / (steps - minibatches.last_epoch)).tolist())), "model": {}}


def _checked_loop(policy: Any, *arguments: Any) -> Any:
    """Return :func:`_loop`; raises NoLoopError where the network cannot be in one, or has left a tensor behind."""
    try:
        sums = _loop(policy, *arguments)
    except Exception as error:  # the user's own code, and whatever it raises
        raise NoLoopError(f"{type(error).__name__}: {(str(error).strip() or 'no message').splitlines()[0]}") from error
    try:
        inside = policy.model.value_function().op._get_control_flow_context() is not None
    except ValueError:  # TensorFlow's, for what is computed outside of the loop from what is inside
        inside = True
    if inside:
        raise NoLoopError("an object beside the network remembers its last values")
    return sums


def _loop(policy: Any, columns: Mapping[str, Any], rows: Any, bounds: Any, last_epoch: Any) -> Any:
    """Return the sums of the learner's figures over the last epoch; computing them runs the loop."""

    def body(step: Any, sums: Any) -> Tuple[Any, Any]:
        chosen = rows[bounds[step, 0] : bounds[step, 1]]
        train, told = _step(policy, {name: _gathered(column, chosen) for name, column in columns.items()})
        figures = tf.stack([tf.reshape(tf.cast(told[name], tf.float64), []) for name in FIGURES])
        with tf.control_dependencies([train]):
            return step + 1, sums + tf.cast(step >= last_epoch, tf.float64) * figures

    start = tf.constant(0), tf.zeros([len(FIGURES)], tf.float64)
    limit = tf.shape(bounds)[0]
    return tf.while_loop(lambda step, _: step < limit, body, start, parallel_iterations=1, back_prop=False)[1]


def _gathered(column: Any, chosen: Any) -> Any:
    gathered = tf.gather(column, chosen)
    gathered.set_shape([None, *column.shape.as_list()[1:]])
    return gathered


def _step(policy: Any, minibatch: Dict[str, Any]) -> Tuple[Any, Mapping[str, Any]]:
    """Return one step of SGD: the operation, and the learner's figures before it.

    Loss and network leave tensors behind in the policy and the model, which here lie inside the loop: copies take
    them, that share all variables with the originals.
    """
    twin = copy.copy(policy)
    twin.model = _twin(policy.model)
    loss = ppo_surrogate_loss(twin, twin.model, policy.dist_class, minibatch)
    gradients = [pair for pair in clip_gradients(twin, policy._optimizer, loss) if pair[0] is not None]
    return policy._optimizer.apply_gradients(gradients), kl_and_loss_stats(twin, minibatch)


def _twin(model: ModelV2) -> ModelV2:
    """Return a copy that shares the variables, with copies of the networks and lists that it keeps tensors in."""
    twin = copy.copy(model)
    for name, value in vars(model).items():
        if isinstance(value, ModelV2):
            setattr(twin, name, _twin(value))
        elif isinstance(value, (dict, list)):
            setattr(twin, name, copy.copy(value))
    return twin
