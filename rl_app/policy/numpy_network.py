"""A frozen network played by numpy, for whom TensorFlow would be too much: it takes hundreds of megabytes.

So would onnxruntime where the trainer's network is not ONNX yet: what converts it imports TensorFlow.
"""

from __future__ import annotations

from typing import Any, Dict, Iterable, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple
from weakref import WeakKeyDictionary

import numpy as np

from rl_app.policy.freezing import FrozenPolicy
from rl_app.policy.loading import Input, Network, Outputs
from rl_app.policy.numpy_operations import OPERATIONS, Settings
from rl_app.policy.onnx_conversion import PLAYED, sampled_outputs, used_inputs
from rl_app.spaces.description import Array

_AGREES: WeakKeyDictionary[Any, bool] = WeakKeyDictionary()
"""Of each policy whether its network's operations do the same in numpy: other weights change nothing in that."""


class NotInNumpyError(Exception):
    """The network has an operation that is not in numpy here; the text is TensorFlow's name of it."""


class Node(NamedTuple):
    """One operation of TensorFlow's graph; ``kind`` is TensorFlow's name of it, ``inputs`` are tensors."""

    name: str
    kind: str
    inputs: Tuple[str, ...]
    settings: Settings


class NumpyNetwork(NamedTuple):
    """A network as it can be pickled, and read where there is no TensorFlow.

    Attributes:
        nodes: each after those that it takes something of.
        constants: the tensors that are the same for all observations.
        inputs: what the network takes.
        fed: the tensor of each input.
        outputs: the tensors of the actions and of the recurrent state.
    """

    nodes: List[Node]
    constants: Dict[str, Array]
    inputs: Dict[str, Input]
    fed: Dict[str, str]
    outputs: Dict[str, str]

    def network(self) -> Network:
        """Return it as :class:`rl_app.policy.policy.Policy` takes it."""
        return Network("numpy", self.inputs, self._run, filters=False)

    def _run(self, feeds: Mapping[str, Array]) -> Outputs:
        tensors = {**self.constants, **{self.fed[name]: np.asarray(value) for name, value in feeds.items()}}
        with np.errstate(all="ignore"):  # of which TensorFlow says nothing either
            for name, kind, inputs, settings in self.nodes:
                found = OPERATIONS[kind](settings, *(tensors[each] for each in inputs))
                for place, part in enumerate(found if isinstance(found, list) else [found]):
                    tensors[_tensor(f"{name}:{place}")] = part
        return {name: tensors[tensor] for name, tensor in self.outputs.items()}


def in_numpy(policy: Any, frozen: FrozenPolicy) -> Optional[NumpyNetwork]:
    """Return the network of an RLlib policy; None where numpy cannot play it, or acts otherwise than the policy."""
    try:
        found = converted(frozen)
        if policy not in _AGREES:
            feeds, expected = sampled_outputs(policy, frozen)
            ours = found.network().run(feeds)
            _AGREES[policy] = all(np.allclose(ours[name], expected[name], rtol=1e-4, atol=1e-4) for name in expected)
    except Exception:  # numpy raises what it likes of a network that is not as RLlib's are
        return None
    return found if _AGREES[policy] else None


def converted(frozen: FrozenPolicy) -> NumpyNetwork:
    """Return the network that gives the actions and the recurrent state.

    Raises:
        NotInNumpyError: it has an operation that is not in numpy here.
    """
    from ray.rllib.utils import try_import_tf

    tf = try_import_tf()
    inputs = used_inputs(frozen)
    fed = {name: _tensor(frozen.inputs[name]) for name in inputs}
    outputs = {name: _tensor(tensor) for name, tensor in frozen.outputs.items() if name.startswith(PLAYED)}
    all_nodes = {node.name: node for node in frozen.graph_def.node}
    nodes, constants = [], {}
    for node in _in_order(all_nodes, outputs.values(), fed.values()):
        if node.op == "Const":
            constants[node.name] = tf.make_ndarray(node.attr["value"].tensor)
        else:
            nodes.append(Node(node.name, node.op, _inputs(node), _settings(tf, node)))
    return NumpyNetwork(nodes, constants, {name: _input(*frozen.placeholders[name]) for name in inputs}, fed, outputs)


def _in_order(nodes: Mapping[str, Any], wanted: Iterable[str], fed: Iterable[str]) -> Iterator[Any]:
    """Yield what the wanted tensors are computed by, each after what it takes something of; raises NotInNumpyError."""
    done, waiting = set(fed), [_node(tensor) for tensor in wanted]
    while waiting:
        node = nodes[waiting[-1]]
        if node.op != "Const" and node.op not in OPERATIONS:
            raise NotInNumpyError(node.op)
        before = [name for name in map(_node, _inputs(node)) if name not in done]
        waiting += before
        if not before:
            waiting.pop()
            if node.name not in done:
                done.add(node.name)
                yield node


def _inputs(node: Any) -> Tuple[str, ...]:
    """Return the tensors that go into a node; those after a caret only say what is to be computed before."""
    return tuple(_tensor(name) for name in node.input if not name.startswith("^"))


def _settings(tf: Any, node: Any) -> Dict[str, Any]:
    return {name: _value(tf, attribute) for name, attribute in node.attr.items()}


def _value(tf: Any, attribute: Any) -> Any:
    kind = attribute.WhichOneof("value")
    if kind == "type":
        return tf.as_dtype(attribute.type).as_numpy_dtype
    if kind == "list":
        return list(attribute.list.i)
    return getattr(attribute, kind) if kind in ("i", "f", "b") else None


def _input(dtype: Any, shape: Sequence[Optional[int]]) -> Input:
    return Input(dtype.as_numpy_dtype, tuple(int(size or 1) for size in shape[1:]) if shape else None)


def _tensor(name: str) -> str:
    """Return a tensor's name as graphs have it, without the number of a node's first."""
    return name[: -len(":0")] if name.endswith(":0") else name


def _node(tensor: str) -> str:
    return tensor.split(":")[0]
