"""A SavedModel of RLlib's own export, without policy.json: what its signature tells of the policy, and its best action.

RLlib's ``actions_0`` is a sample, which ``is_exploring`` outside of the signature decides; the best action is in
``action_dist_inputs``, which are the logits of choices, or the means of quantities.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Mapping

import numpy as np

from rl_app.errors import UserError
from rl_app.policy.loading import Network, Outputs
from rl_app.policy.restored_agent import params_of
from rl_app.spaces.description import Array, Space
from rl_app.storage.artifacts import POLICY, SAVED_MODEL

NOTE = (
    f"no {POLICY}: served by the signature of RLlib's export: observations are flat, and the action is the best of "
    "action_dist_inputs, neither clipped nor scaled, for nothing says its bounds"
)
BEST: Mapping[str, Callable[[Array], Array]] = {
    "Categorical": lambda logits: logits.argmax(axis=1),
    "DiagGaussian": lambda inputs: np.split(inputs, 2, axis=1)[0],
    "Deterministic": lambda inputs: inputs,
}
"""The best action of the inputs of each distribution that a signature tells."""
SERVED = "serving_default"
FED = ("observations", "prev_action", "prev_reward", "is_training")
ALONGSIDE = ("actions_0", "action_dist_inputs", "vf_preds", "q_values")


def is_without_facts(directory: Path) -> bool:
    """Return whether a model has a SavedModel and no policy.json."""
    return (directory / SAVED_MODEL).is_file() and not (directory / POLICY).exists()


def facts_of(directory: Path) -> Dict[str, Any]:
    """Return what policy.json would say, as far as the signature and params.json tell.

    Raises:
        UserError: the file is no SavedModel of RLlib's, or a policy of which the signature does not tell enough.
    """
    params, file = params_of(directory), directory / SAVED_MODEL
    graph = _graph(file)
    signature = graph.signature_def[SERVED]
    _check(signature, params, file)
    observations, actions = signature.inputs["observations"], signature.outputs["actions_0"]
    inputs = signature.outputs["action_dist_inputs"]
    distribution = _distribution(signature, file)
    outputs = [name for name in ALONGSIDE if name in signature.outputs]
    return {
        "algorithm": "RLlib",
        **{key: params[key] for key in ("env",) if isinstance(params.get(key), str)},
        "observation_space": _box(_row(observations)),
        "action_space": _choice(inputs) if distribution == "Categorical" else _box(_row(actions)),
        "observation_filter": None,
        "action_distribution": distribution,
        "normalize_actions": False,
        "clip_actions": False,
        "state_sizes": [],
        "inputs": _used(graph, outputs),
        "outputs": outputs,
        "training": {},
        "versions": {},
    }


def with_best_action(network: Network, facts: Mapping[str, Any]) -> Network:
    """Return the network with the best action in place of RLlib's sample."""
    best = BEST[facts["action_distribution"]]

    def run(feeds: Mapping[str, Array]) -> Outputs:
        outputs = network.run(feeds)
        return {**outputs, "actions_0": best(outputs["action_dist_inputs"])}

    return network._replace(run=run)


def _graph(file: Path) -> Any:
    from tensorflow.core.protobuf import saved_model_pb2

    saved = saved_model_pb2.SavedModel()
    try:
        saved.ParseFromString(file.read_bytes())
        return next(graph for graph in saved.meta_graphs if SERVED in graph.signature_def)
    except Exception as error:  # protobuf's, of a file that is none; or there is no such signature
        raise UserError(f"{file}: no SavedModel with the signature {SERVED}") from error


def _used(graph: Any, outputs: List[str]) -> List[str]:
    """Return the inputs that the outputs depend on; what a request says of the others does not matter."""
    from tensorflow.compat.v1.graph_util import extract_sub_graph

    signature = graph.signature_def[SERVED]
    needed = extract_sub_graph(graph.graph_def, [signature.outputs[name].name.split(":")[0] for name in outputs])
    nodes = {node.name for node in needed.node}
    return [name for name in FED if name in signature.inputs and signature.inputs[name].name.split(":")[0] in nodes]


def _check(signature: Any, params: Mapping[str, Any], file: Path) -> None:
    """Raise UserError where a policy acts on more than its signature tells of."""
    reason = next(_missing(signature, params), None)
    if reason:
        raise UserError(f"{file}: cannot be served by its signature: {reason}; a job in this image leaves {POLICY}")


def _missing(signature: Any, params: Mapping[str, Any]) -> Iterator[str]:
    for side, names in ((signature.inputs, ["observations"]), (signature.outputs, ALONGSIDE[:2])):
        lacking = [name for name in names if name not in side]
        if lacking:
            yield f"it has no {' and no '.join(lacking)}"
    if "actions_1" in signature.outputs:
        yield "its action has several parts"
    memory = [name for name in signature.inputs if name not in (*FED, "seq_lens")]
    if memory:
        yield f"it has a memory, {', '.join(sorted(memory))}"
    if params.get("observation_filter", "NoFilter") != "NoFilter":
        yield f"its {params['observation_filter']} of observations is not in it"


def _distribution(signature: Any, file: Path) -> str:
    actions, inputs = _row(signature.outputs["actions_0"]), _row(signature.outputs["action_dist_inputs"])
    whole = np.issubdtype(_dtype(signature.outputs["actions_0"]), np.integer)
    if whole and not actions:
        return "Categorical"
    if not whole and inputs == actions:
        return "Deterministic"
    if not whole and inputs == [2 * size for size in actions] and "vf_preds" in signature.outputs:
        return "DiagGaussian"
    raise UserError(f"{file}: cannot be served by its signature: nothing tells the distribution of its actions")


def _row(tensor: Any) -> List[int]:
    return [dimension.size for dimension in tensor.tensor_shape.dim[1:]]


def _dtype(tensor: Any) -> Any:
    from tensorflow.dtypes import as_dtype

    return as_dtype(tensor.dtype).as_numpy_dtype


def _box(shape: List[int]) -> Space:
    count = int(np.prod(shape))
    return {"type": "Box", "shape": shape, "dtype": "float32", "low": [None] * count, "high": [None] * count}


def _choice(logits: Any) -> Space:
    return {"type": "Discrete", "n": _row(logits)[0], "start": 0}
