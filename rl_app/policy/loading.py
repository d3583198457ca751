"""The files of an exported policy: what policy.json says, and its network in onnxruntime or TensorFlow."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Dict, Mapping, NamedTuple, Optional, Tuple

import numpy as np

from rl_app.errors import UserError
from rl_app.job.agents import POLICIES
from rl_app.policy.facts import check_facts
from rl_app.spaces.description import Array
from rl_app.typed import Mismatch, parse

Outputs = Dict[str, Array]

# ONNX's and TensorFlow's names for what a network takes
DTYPES = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
    "tensor(bool)": np.bool_,
}


class Input(NamedTuple):
    """One input of a network; ``shape`` is without the batch, and None for a value that has no batch."""

    dtype: Any
    shape: Optional[Tuple[int, ...]]


class Network(NamedTuple):
    """The inference graph: ``run`` maps its ``inputs`` by name to its outputs by name, both with the batch first.

    ``filters``: the observation filter is part of the graph.
    """

    engine: str
    inputs: Dict[str, Input]
    run: Callable[[Mapping[str, Array]], Outputs]
    filters: bool


def read_facts(file: Path) -> Dict[str, Any]:
    """Read policy.json; raises UserError, which names file and key, where it is missing or no policy.json."""
    try:
        text = file.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{file}: no such file; a model is a directory that a training job exported") from None
    except OSError as error:
        raise UserError(f"{file}: cannot be read: {error.strerror or error}") from None
    facts = parse(text, str(file))
    try:
        check_facts(facts)
    except Mismatch as error:
        raise UserError(f"{file}: {error}") from None
    return dict(facts)


def facts_of_policies(directory: Path, facts: Mapping[str, Any]) -> Dict[str, Dict[str, Any]]:
    """Read policy.json of each policy of a model that has several, by name; raises UserError as :func:`read_facts`."""
    return {name: read_facts(directory / POLICIES / name / "policy.json") for name in facts[POLICIES]}


def load_network(directory: Path, facts: Mapping[str, Any]) -> Network:
    """Load the ONNX graph, or the SavedModel where there is none; raises UserError, which names the file."""
    onnx, saved_model = directory / "policy.onnx", directory / "1" / "saved_model.pb"
    if onnx.exists():
        return _onnx_network(onnx)
    if saved_model.exists():
        return _tensorflow_network(saved_model, facts)
    raise UserError(f"{onnx}: no such file, and no {saved_model} either")


def _onnx_network(file: Path) -> Network:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's exceptions have no base of their own
        raise UserError(f"{file}: cannot be loaded: {str(error).splitlines()[0]}") from error
    names = [output.name for output in session.get_outputs()]
    integers = [output.name for output in session.get_outputs() if output.type == "tensor(int64)"]

    def run(feeds: Mapping[str, Array]) -> Outputs:
        outputs = dict(zip(names, session.run(names, feeds)))
        for name in integers:  # C's long long, whose scalars are no np.int64
            outputs[name] = outputs[name].view(np.int64)
        return outputs

    inputs = {
        each.name: Input(DTYPES[each.type], tuple(each.shape[1:]) if each.shape else None)
        for each in session.get_inputs()
    }
    return Network("onnxruntime", inputs, run, filters=False)


def _tensorflow_network(file: Path, facts: Mapping[str, Any]) -> Network:
    """Return the SavedModel, for a graph that is not there as ONNX."""
    import tensorflow as tf

    v1 = tf.compat.v1
    graph = tf.Graph()
    with graph.as_default():
        threads = v1.ConfigProto(intra_op_parallelism_threads=1, inter_op_parallelism_threads=1)
        session = v1.Session(config=threads)
        try:
            loaded = v1.saved_model.load(session, ["serve"], str(file.parent))
            signature = loaded.signature_def["serving_default"]
        except Exception as error:  # TensorFlow raises what it likes for a file that is none
            raise UserError(f"{file}: cannot be loaded: {str(error).splitlines()[0]}") from error
    tensors = {name: graph.get_tensor_by_name(signature.inputs[name].name) for name in facts["inputs"]}
    fetches = {name: signature.outputs[name].name for name in facts["outputs"]}

    def run(feeds: Mapping[str, Array]) -> Outputs:
        outputs: Outputs = session.run(fetches, {tensors[name]: value for name, value in feeds.items()})
        return outputs

    inputs = {
        name: Input(tensor.dtype.as_numpy_dtype, tuple(tensor.shape.as_list()[1:]) if tensor.shape.rank else None)
        for name, tensor in tensors.items()
    }
    return Network("tensorflow", inputs, run, filters=True)
