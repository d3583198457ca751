"""A trained policy as files that need no Ray: a frozen SavedModel, the same as ONNX, and policy.json.

RLlib 0.8.5's own export samples its action (``is_exploring`` is not in its signature), leaves the observation
filter out and carries the training graph. This one is the inference graph alone, deterministic, frozen.
"""

from __future__ import annotations

import json
import logging
import os
import platform
import shutil
from contextlib import suppress
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Tuple

from rl_app.checkpoints import Checkpoint
from rl_app.spaces import describe

logger = logging.getLogger(__name__)

ONNX_OPSET = 17
AGREEING = 16
"""On how many observations a converted policy has to act as the one that it was made of."""
VERSIONS_OF = ("ray", "tensorflow-cpu", "tensorflow", "gym", "numpy", "onnx", "tf2onnx")


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
    """RLlib's MeanStdFilter: ``(x - mean) / (std + 1e-8)`` in float64, one value a flat observation element."""

    mean: List[float]
    std: List[float]


def export(trainer: Any, directory: Path, checkpoint: Checkpoint, training: Mapping[str, Any]) -> None:
    """Writes what the design calls the model into ``directory``, each part beside first and then renamed.

    Args:
        trainer: an RLlib trainer in the state of ``checkpoint``.
        directory: ``/opt/ml/model``.
        checkpoint: copied under the names that AWS's evaluation script looks for.
        training: facts of the run for policy.json (iteration, reward, seed, …).
    """
    beside = directory / ".tmp-export"
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    policy = trainer.get_policy()
    frozen = freeze(policy)
    observation_filter = mean_std(trainer)
    write_saved_model(frozen, observation_filter, beside / "1")
    write_onnx_if_it_agrees(policy, frozen, beside / "policy.onnx")
    _write_json(beside / "policy.json", policy_facts(trainer, frozen, observation_filter, training))
    _write_json(beside / "params.json", trainer.config)
    shutil.copy(str(checkpoint.path), str(beside / "checkpoint"))
    shutil.copy(f"{checkpoint.path}.tune_metadata", str(beside / "checkpoint.tune_metadata"))
    for made in beside.iterdir():
        target = directory / made.name
        if target.is_dir():
            shutil.rmtree(target)
        os.replace(made, target)
    beside.rmdir()


def freeze(policy: Any) -> FrozenPolicy:
    """Freezes the deterministic action of an RLlib TensorFlow policy, with what Ray 0.8.5's signature returns.

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


@lru_cache(maxsize=1)
def _inference_graph(policy: Any) -> Tuple[Dict[str, Any], Any]:
    """The outputs by name and the part of the policy's graph that they need, made once a policy.

    Each making would add nodes to the graph for good, and takes ten times as long as the freezing itself.
    """
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
    """Of the distribution's mode, as RLlib's ``logp`` has it.

    RLlib's takes no Tuple of actions; and for a Categorical it is a cross entropy, of which tf2onnx mixes up several.
    """
    from ray.rllib.models.tf.tf_action_dist import Categorical, MultiActionDistribution, MultiCategorical
    from ray.rllib.utils import try_import_tf

    tf = try_import_tf()
    if isinstance(distribution, MultiActionDistribution):
        return tf.add_n([_log_probability(*part) for part in zip(distribution.child_distributions, mode.batches)])
    if isinstance(distribution, MultiCategorical):
        return tf.add_n([_log_probability(part, None) for part in distribution.cats])
    if isinstance(distribution, Categorical):
        return tf.reduce_max(tf.nn.log_softmax(distribution.inputs), axis=1)
    return distribution.logp(mode)


def _signature_inputs(policy: Any) -> Dict[str, Any]:
    """The inputs of Ray 0.8.5's signature by its names; RNN states, which it names by tensor, by position."""
    inputs = {
        "observations": policy._obs_input,
        "prev_action": policy._prev_action_input,
        "prev_reward": policy._prev_reward_input,
        "is_training": policy._is_training,
        "seq_lens": policy._seq_lens,
    }
    inputs.update({f"state_in_{i}": tensor for i, tensor in enumerate(policy._state_inputs)})
    return {name: tensor for name, tensor in inputs.items() if tensor is not None}


def mean_std(trainer: Any) -> Optional[MeanStd]:
    """The observation filter of the trainer's policy; None where there is none."""
    observation_filter = trainer.workers.local_worker().filters["default_policy"]
    statistics = getattr(observation_filter, "rs", None)
    if statistics is None:
        return None
    return MeanStd(mean=statistics.mean.ravel().tolist(), std=statistics.std.ravel().tolist())


def write_saved_model(frozen: FrozenPolicy, observation_filter: Optional[MeanStd], directory: Path) -> None:
    """Writes TensorFlow Serving's SavedModel, with default attributes stripped so that TensorFlow 2.1 loads it."""
    from ray.rllib.utils import try_import_tf

    tf = try_import_tf()
    with tf.Graph().as_default(), tf.Session() as session:
        inputs = {
            name: tf.placeholder_with_default(tf.constant(False), [], name)
            if name == "is_training"
            else tf.placeholder(dtype, shape, name)
            for name, (dtype, shape) in frozen.placeholders.items()
        }
        fed = dict(inputs)
        if observation_filter is not None:
            wide = tf.cast(inputs["observations"], tf.float64)
            mean, std = (
                tf.reshape(tf.constant(values, tf.float64), inputs["observations"].shape[1:])
                for values in observation_filter
            )
            fed["observations"] = tf.cast((wide - mean) / (std + 1e-8), tf.float32)
        outputs = _import(tf, frozen, fed)
        signature = tf.saved_model.predict_signature_def(inputs, outputs)
        builder = tf.saved_model.Builder(str(directory))
        builder.add_meta_graph_and_variables(
            session, ["serve"], signature_def_map={"serving_default": signature}, strip_default_attrs=True
        )
        builder.save()


def write_onnx_if_it_agrees(policy: Any, frozen: FrozenPolicy, file: Path) -> None:
    """Writes the file for onnxruntime unless that gives other actions than TensorFlow, or cannot take the graph.

    Without the file, evaluate and serve run the SavedModel.
    """
    try:
        write_onnx(frozen, file)
        _check_agreement(policy, frozen, file)
    except Exception as error:  # tf2onnx and onnxruntime raise what they like
        with suppress(FileNotFoundError):
            file.unlink()
        reason = (str(error).strip() or "no message").splitlines()[0]
        logger.warning("no %s, so TensorFlow runs the policy: %s: %s", file.name, type(error).__name__, reason)


def _check_agreement(policy: Any, frozen: FrozenPolicy, file: Path) -> None:
    """Raises ValueError where onnxruntime acts otherwise than the policy's own session, on a few observations."""
    import numpy as np
    import onnxruntime

    rng, feeds = np.random.default_rng(0), {}
    for name in _used_inputs(frozen):
        dtype, shape = frozen.placeholders[name]
        sizes = [AGREEING if size is None else size for size in shape]
        drawn = rng.normal(size=sizes) if name == "observations" else np.full(sizes, name == "seq_lens")
        feeds[name] = np.asarray(drawn, dtype.as_numpy_dtype)
    actions = [name for name in frozen.outputs if name.startswith("actions_")]
    expected = policy.get_session().run(
        [frozen.outputs[name] for name in actions], {frozen.inputs[name]: value for name, value in feeds.items()}
    )
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    for name, ours, theirs in zip(actions, session.run(actions, feeds), expected):
        if not np.allclose(ours, theirs, rtol=1e-4, atol=1e-4):
            raise ValueError(f"onnxruntime gives other {name}")


def write_onnx(frozen: FrozenPolicy, file: Path) -> None:
    """Writes the same graph for onnxruntime: the network without the observation filter, which policy.json has.

    The filter is float64 on the observation as the environment gives it, and so is applied before the network.
    Only inputs that the network uses are inputs of the file.
    """
    import tensorflow.compat.v1 as tf
    import tf2onnx

    used = _used_inputs(frozen)
    with tf.Graph().as_default() as graph:
        inputs = {name: tf.placeholder(*frozen.placeholders[name], name=name) for name in used}
        for name, tensor in _import(tf, frozen, inputs).items():
            tf.identity(tensor, name=name)
        graph_def = graph.as_graph_def()
    model, _ = tf2onnx.convert.from_graph_def(
        graph_def,
        input_names=[f"{name}:0" for name in used],
        output_names=[f"{name}:0" for name in frozen.outputs],
        opset=ONNX_OPSET,
    )
    _rename_tensors(model.graph, {f"{name}:0": name for name in (*used, *frozen.outputs)})
    file.write_bytes(model.SerializeToString())


def _used_inputs(frozen: FrozenPolicy) -> List[str]:
    nodes = {node.name for node in frozen.graph_def.node}
    return [name for name, tensor in frozen.inputs.items() if tensor.split(":")[0] in nodes]


def _import(tf: Any, frozen: FrozenPolicy, inputs: Mapping[str, Any]) -> Dict[str, Any]:
    """Imports the frozen graph into the current one, fed by ``inputs``; returns the outputs by name."""
    tensors = tf.import_graph_def(
        frozen.graph_def,
        input_map={frozen.inputs[name]: inputs[name] for name in _used_inputs(frozen)},
        return_elements=list(frozen.outputs.values()),
        name="policy",
    )
    return dict(zip(frozen.outputs, tensors))


def _rename_tensors(graph: Any, names: Mapping[str, str]) -> None:
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    for value in (*graph.input, *graph.output, *graph.value_info):
        value.name = names.get(value.name, value.name)


def policy_facts(
    trainer: Any, frozen: FrozenPolicy, observation_filter: Optional[MeanStd], training: Mapping[str, Any]
) -> Dict[str, Any]:
    """All that evaluate and serve need to know of the policy, as plain data."""
    policy, config = trainer.get_policy(), trainer.config
    # The policy's own space is what its preprocessor makes of the environment's
    preprocessor = trainer.workers.local_worker().preprocessors["default_policy"]
    # MultiDiscrete and Tuple actions have a partial of the class
    distribution = getattr(policy.dist_class, "func", policy.dist_class)
    return {
        "algorithm": trainer._name,
        "env": config["env"],
        "env_config": config["env_config"],
        "observation_space": describe(preprocessor._obs_space),
        "action_space": describe(policy.action_space),
        "observation_size": int(preprocessor.size),
        "observation_filter": None if observation_filter is None else observation_filter._asdict(),
        "action_distribution": distribution.__name__,
        "normalize_actions": config["normalize_actions"],
        "clip_actions": config["clip_actions"],
        "state_sizes": [int(tensor.shape[-1]) for tensor in policy._state_inputs],
        "inputs": _used_inputs(frozen),
        "outputs": list(frozen.outputs),
        "seed": config["seed"],
        "training": dict(training),
        "versions": versions(),
    }


def versions() -> Dict[str, str]:
    """The versions of what made the policy."""
    installed = {"python": platform.python_version()}
    for name in VERSIONS_OF:
        try:
            installed[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return installed


def _write_json(file: Path, data: Mapping[str, Any]) -> None:
    file.write_text(json.dumps(data, indent=2, sort_keys=True, default=str) + "\n")
