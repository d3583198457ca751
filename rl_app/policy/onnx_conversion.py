"""A frozen policy as ONNX, kept where it acts as the policy does."""

from __future__ import annotations

import logging
from contextlib import suppress
from pathlib import Path
from typing import Any, Dict, List, Mapping, Tuple

from rl_app.policy.freezing import FrozenPolicy
from rl_app.spaces.description import describe
from rl_app.spaces.flattening import flat_limits

logger = logging.getLogger(__name__)

ONNX_OPSET = 17
AGREEING = 16
"""On how many observations a converted policy has to act as the one that it was made of."""
PLAYED = ("actions_", "state_out_")
"""How those of its outputs are called by which an episode is played."""


def write_onnx_if_it_agrees(policy: Any, frozen: FrozenPolicy, file: Path) -> None:
    """Write the file for onnxruntime unless that answers otherwise than TensorFlow, or cannot take the graph.

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
    """Raise ValueError where onnxruntime answers otherwise than the policy's own session, on a few observations.

    The best actions alone would be the same of many another network, which draws others.
    """
    import numpy as np
    import onnxruntime

    feeds, expected = sampled_outputs(policy, frozen, tuple(frozen.outputs))
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    for name, ours in zip(expected, session.run(list(expected), feeds)):
        if not np.allclose(ours, expected[name], rtol=1e-4, atol=1e-4, equal_nan=True):
            raise ValueError(f"onnxruntime gives other {name}")


def sampled_outputs(
    policy: Any, frozen: FrozenPolicy, names: Tuple[str, ...] = PLAYED
) -> Tuple[Dict[str, Any], Dict[str, Any]]:
    """Return a few inputs of the network, and what the policy's own session says of them.

    ``names`` are what the outputs' names begin with: by default the actions and the memory after.
    """
    import numpy as np

    feeds = {}
    for name in used_inputs(frozen):
        dtype, shape = frozen.placeholders[name]
        sizes = [AGREEING if size is None else size for size in shape]
        drawn = _observations(policy, sizes) if name == "observations" else np.full(sizes, name == "seq_lens")
        feeds[name] = np.asarray(drawn, dtype.as_numpy_dtype)
    asked = [name for name in frozen.outputs if name.startswith(names)]
    found = policy.get_session().run(
        [frozen.outputs[name] for name in asked], {frozen.inputs[name]: value for name, value in feeds.items()}
    )
    return feeds, dict(zip(asked, found))


def _observations(policy: Any, sizes: List[int]) -> Any:
    """Draw what the network might see: within its space, without which a mask of actions would be none."""
    import numpy as np

    drawn = np.random.default_rng(0).normal(size=sizes)
    seen = policy.observation_space
    space = describe(getattr(seen, "original_space", seen))
    if policy.config["observation_filter"] != "NoFilter":
        return drawn
    low, high = flat_limits(space)
    return np.clip(drawn.reshape(sizes[0], -1), low, high).reshape(sizes)


def write_onnx(frozen: FrozenPolicy, file: Path) -> None:
    """Write the same graph for onnxruntime: the network without the observation filter, which policy.json has.

    The filter is float64 on the observation as the environment gives it, and so is applied before the network.
    Only inputs that the network uses are inputs of the file.
    """
    import tensorflow.compat.v1 as tf
    import tf2onnx

    used = used_inputs(frozen)
    with tf.Graph().as_default() as graph:
        inputs = {name: tf.placeholder(*frozen.placeholders[name], name=name) for name in used}
        for name, tensor in import_graph(tf, frozen, inputs).items():
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


def used_inputs(frozen: FrozenPolicy) -> List[str]:
    nodes = {node.name for node in frozen.graph_def.node}
    return [name for name, tensor in frozen.inputs.items() if tensor.split(":")[0] in nodes]


def import_graph(tf: Any, frozen: FrozenPolicy, inputs: Mapping[str, Any]) -> Dict[str, Any]:
    """Import the frozen graph into the current one, fed by ``inputs``; return the outputs by name."""
    tensors = tf.import_graph_def(
        frozen.graph_def,
        input_map={frozen.inputs[name]: inputs[name] for name in used_inputs(frozen)},
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
