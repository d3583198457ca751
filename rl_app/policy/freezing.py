"""The inference graph of a trained policy, with its variables as constants."""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Optional, Tuple
from weakref import WeakKeyDictionary

from rl_app.job.agents import ONE

_GRAPHS: WeakKeyDictionary[Any, Tuple[Dict[str, Any], Any]] = WeakKeyDictionary()
"""What :func:`_inference_graph` has made, by policy."""


class FrozenPolicy(NamedTuple):
    """The inference graph with its variables as constants.

    ``inputs`` and ``outputs`` map the names of the signature to tensor names in ``graph_def``;
    ``placeholders`` gives dtype and shape of each input.
    """

    graph_def: Any
    inputs: Dict[str, str]
    outputs: Dict[str, str]
    placeholders: Dict[str, Tuple[Any, List[Optional[int]]]]


class MeanStd(NamedTuple):
    """RLlib's MeanStdFilter: ``(x - mean) / (std + 1e-8)`` in float64, one value a flat observation element.

    ``clip``: what it gives is cut to plus or minus this; None where it is not.
    """

    mean: List[float]
    std: List[float]
    clip: Optional[float]


def freeze(policy: Any) -> FrozenPolicy:
    """Freeze the deterministic action of an RLlib TensorFlow policy, with what Ray 0.8.5's signature returns.

    The action is the distribution's mode, from ``_dist_inputs``: the policy's own sampled action is a
    ``tf.cond`` over the sampler and would drag it along.
    """
    from ray.rllib.utils import try_import_tf

    tf = try_import_tf()
    outputs, graph_def = _inference_graph(policy)
    inputs = _signature_inputs(policy)
    return FrozenPolicy(
        graph_def=tf.graph_util.convert_variables_to_constants(
            policy.get_session(), graph_def, [tensor.op.name for tensor in outputs.values()]
        ),
        inputs={name: tensor.name for name, tensor in inputs.items()},
        outputs={name: tensor.name for name, tensor in outputs.items()},
        placeholders={name: (tensor.dtype, tensor.shape.as_list()) for name, tensor in inputs.items()},
    )


def _inference_graph(policy: Any) -> Tuple[Dict[str, Any], Any]:
    """Return the outputs by name and the part of the policy's graph that they need, made once a policy.

    Each making would add nodes to the graph for good, and takes ten times as long as the freezing itself.
    """
    if policy not in _GRAPHS:
        _GRAPHS[policy] = _made_inference_graph(policy)
    return _GRAPHS[policy]


def _made_inference_graph(policy: Any) -> Tuple[Dict[str, Any], Any]:
    from ray.rllib.utils import try_import_tf

    tf = try_import_tf()
    graph = policy.get_session().graph
    with graph.as_default():
        outputs = {
            name: tf.identity(tensor, name=f"export/{name}") for name, tensor in _inference_outputs(policy).items()
        }
    needed = [tensor.op.name for tensor in outputs.values()]
    return outputs, tf.graph_util.extract_sub_graph(graph.as_graph_def(), needed)


def _inference_outputs(policy: Any) -> Dict[str, Any]:
    from ray.rllib.utils import try_import_tf

    tf = try_import_tf()
    distribution = policy.dist_class(policy._dist_inputs, policy.model)
    action = distribution.deterministic_sample()
    parts = getattr(action, "batches", [action])
    outputs = {f"actions_{i}": part for i, part in enumerate(parts)}
    outputs["action_dist_inputs"] = policy._dist_inputs
    if policy._sampled_action_logp is not None:
        outputs["action_logp"] = _log_probability(distribution, action)
        outputs["action_prob"] = tf.exp(outputs["action_logp"])
    for name, tensor in policy.extra_compute_action_fetches().items():
        outputs.setdefault(name, tensor)
    outputs.update({f"state_out_{i}": tensor for i, tensor in enumerate(policy._state_outputs)})
    return outputs


def _log_probability(distribution: Any, mode: Any) -> Any:
    """Return the log-probability of the distribution's mode, as RLlib's ``logp`` has it.

    RLlib's takes no Tuple of actions; and for a Categorical it is a cross entropy, of which tf2onnx mixes up several.
    """
    from ray.rllib.models.tf.tf_action_dist import Categorical, MultiActionDistribution, MultiCategorical
    from ray.rllib.utils import try_import_tf
    from ray.rllib.utils.tuple_actions import TupleActions

    tf = try_import_tf()
    if isinstance(distribution, MultiActionDistribution):
        return tf.add_n([_log_probability(*part) for part in zip(distribution.child_distributions, mode.batches)])
    if isinstance(distribution, MultiCategorical):
        return tf.add_n([_log_probability(part, None) for part in distribution.cats])
    if isinstance(distribution, Categorical):
        return tf.reduce_max(tf.nn.log_softmax(distribution.inputs), axis=1)
    if isinstance(mode, TupleActions):  # a distribution of the user's own, given the row that it is given in training
        rows = [tf.reshape(part, [tf.shape(part)[0], -1]) for part in mode.batches]
        whole = all(part.dtype.is_integer for part in rows)
        return distribution.logp(tf.concat([tf.cast(part, tf.int64 if whole else tf.float32) for part in rows], axis=1))
    return distribution.logp(mode)


def _signature_inputs(policy: Any) -> Dict[str, Any]:
    """Return the inputs of Ray 0.8.5's signature by its names; RNN states, which it names by tensor, by position."""
    inputs = {
        "observations": policy._obs_input,
        "prev_action": policy._prev_action_input,
        "prev_reward": policy._prev_reward_input,
        "is_training": policy._is_training,
        "seq_lens": policy._seq_lens,
    }
    inputs.update({f"state_in_{i}": tensor for i, tensor in enumerate(policy._state_inputs)})
    return {name: tensor for name, tensor in inputs.items() if tensor is not None}


def filters(trainer: Any) -> List[MeanStd]:
    """Return the observation filters of the trainer's policies, of those that have one."""
    found = (mean_std(trainer, name) for name in trainer.workers.local_worker().filters)
    return [each for each in found if each is not None]


def mean_std(trainer: Any, policy: str = ONE) -> Optional[MeanStd]:
    """Return the observation filter of a trainer's policy; None where there is none."""
    observation_filter = trainer.workers.local_worker().filters[policy]
    statistics = getattr(observation_filter, "rs", None)
    if statistics is None:
        return None
    mean, std = statistics.mean.ravel().tolist(), statistics.std.ravel().tolist()
    return MeanStd(mean, std, None if observation_filter.clip is None else float(observation_filter.clip))
