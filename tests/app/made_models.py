"""Model directories made by hand, in milliseconds and without Ray: a network of one layer for any spaces."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List, Mapping, Sequence

import gym
import numpy as np
import onnx
from gym import spaces
from onnx import TensorProto, helper, numpy_helper

from rl_app.spaces.description import describe
from rl_app.spaces.flattening import size

BOX = spaces.Box(-10.0, 10.0, (4,), np.float32)
THREE = spaces.Discrete(3)


def distribution_of(space: gym.Space) -> str:
    kinds = {
        "Discrete": "Categorical",
        "MultiDiscrete": "MultiCategorical",
        "Tuple": "MultiActionDistribution",
    }
    return kinds.get(type(space).__name__, "DiagGaussian")


def write_model(
    directory: Path,
    observations: gym.Space = BOX,
    actions: gym.Space = THREE,
    memory: int = 0,
    looks_back: bool = False,
    **facts: Any,
) -> Path:
    """Writes ``policy.json`` and ``policy.onnx``.

    ``memory`` numbers of state halve each step and add to the logits; so do, where it ``looks_back``, the action,
    which is no Tuple, and the reward of the step before.
    """
    directory.mkdir(parents=True, exist_ok=True)
    described = {"observation_space": describe(observations), "action_space": describe(actions)}
    network = Network(size(described["observation_space"]))
    parts = actions.spaces if isinstance(actions, spaces.Tuple) else [actions]
    network.build(parts, memory, looks_back)
    onnx.save(network.model(), str(directory / "policy.onnx"))
    known = {
        "algorithm": "PPO",
        "env": "Made-v0",
        **described,
        "observation_size": network.width,
        "observation_filter": None,
        "action_distribution": distribution_of(actions),
        "normalize_actions": False,
        "clip_actions": True,
        "state_sizes": [memory] if memory else [],
        "inputs": [each.name for each in network.inputs],
        "outputs": [each.name for each in network.outputs],
        "seed": 0,
        "training": {"training_iteration": 7, "episode_reward_mean": 123.5},
        "versions": {"ray": "0.8.5"},
    }
    (directory / "policy.json").write_text(json.dumps({**known, **facts}))
    return directory


def write_models(directory: Path, table: Mapping[str, str], **policies: Mapping[str, Any]) -> Path:
    """Writes a model of several policies, each as :func:`write_model` writes it with what is given."""
    for name, given in policies.items():
        write_model(directory / "policies" / name, **given)
    known = {
        "algorithm": "PPO",
        "env": "Made-v0",
        "seed": 0,
        "training": {"training_iteration": 7, "episode_reward_mean": 123.5},
        "versions": {"ray": "0.8.5"},
        "policies": list(policies),
        "policy_mapping": dict(table),
    }
    (directory / "policy.json").write_text(json.dumps(known))
    return directory


class Network:
    """Collects the nodes of an ONNX graph."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.nodes: List[Any] = []
        self.constants: Dict[str, np.ndarray] = {}
        self.inputs = [helper.make_tensor_value_info("observations", TensorProto.FLOAT, ["batch", width])]
        self.outputs: List[Any] = []
        self._rng = np.random.default_rng(0)

    def build(self, parts: Sequence[gym.Space], memory: int, looks_back: bool) -> None:
        widths = [self.inputs_of(part) for part in parts]
        weights = self.constant("weights", self._rng.normal(size=(self.width, sum(widths))).astype(np.float32))
        terms = [self.node("MatMul", ["observations", weights], "from_observation")]
        if memory:
            terms.append(self.remember(memory, sum(widths)))
        if looks_back:
            terms.extend(self.look_back(parts[0], sum(widths)))
        self.node("Sum", terms, "action_dist_inputs")
        self.output("action_dist_inputs", TensorProto.FLOAT)
        start = 0
        for i, (part, width) in enumerate(zip(parts, widths)):
            self.action(f"actions_{i}", part, start, width)
            start += width
        self.output(
            self.node("ReduceMax", ["action_dist_inputs"], "vf_preds", axes=[1], keepdims=0),
            TensorProto.FLOAT,
        )
        self.output(
            self.node("ReduceMin", ["action_dist_inputs"], "action_logp", axes=[1], keepdims=0),
            TensorProto.FLOAT,
        )
        self.output(self.node("Exp", ["action_logp"], "action_prob"), TensorProto.FLOAT)

    def remember(self, memory: int, width: int) -> str:
        self.inputs.append(helper.make_tensor_value_info("state_in_0", TensorProto.FLOAT, ["batch", memory]))
        half = self.constant("half", np.float32(0.5))
        one = self.constant("one", np.float32(1.0))
        self.node("Mul", ["state_in_0", half], "halved")
        self.output(self.node("Add", ["halved", one], "state_out_0"), TensorProto.FLOAT)
        recall = self.constant("recall", self._rng.normal(size=(memory, width)).astype(np.float32))
        return self.node("MatMul", ["state_in_0", recall], "from_memory")

    def look_back(self, action: gym.Space, width: int) -> List[str]:
        kind = TensorProto.INT64 if action.dtype.kind == "i" else TensorProto.FLOAT
        self.inputs.append(helper.make_tensor_value_info("prev_action", kind, ["batch", *action.shape]))
        self.inputs.append(helper.make_tensor_value_info("prev_reward", TensorProto.FLOAT, ["batch"]))
        self.node("Cast", ["prev_action"], "prev_action_float", to=TensorProto.FLOAT)
        terms = []
        for name, length in (("prev_action_float", int(np.prod(action.shape))), ("prev_reward", 1)):
            rows = self.constant(f"{name}_shape", np.array([-1, length], np.int64))
            weights = self.constant(f"{name}_weights", self._rng.normal(size=(length, width)).astype(np.float32))
            self.node("Reshape", [name, rows], f"{name}_rows")
            terms.append(self.node("MatMul", [f"{name}_rows", weights], f"from_{name}"))
        return terms

    @staticmethod
    def inputs_of(space: gym.Space) -> int:
        if isinstance(space, spaces.Box):
            return 2 * int(np.prod(space.shape))
        return int(sum(space.nvec)) if isinstance(space, spaces.MultiDiscrete) else int(space.n)

    def action(self, name: str, space: gym.Space, start: int, width: int) -> None:
        if isinstance(space, spaces.Box):
            self.slice(name, start, start + width // 2)
            self.output(name, TensorProto.FLOAT)
        elif isinstance(space, spaces.MultiDiscrete):
            columns = []
            for i, n in enumerate(space.nvec):
                self.slice(f"{name}_{i}_logits", start, start + int(n))
                columns.append(self.node("ArgMax", [f"{name}_{i}_logits"], f"{name}_{i}", axis=1, keepdims=1))
                start += int(n)
            self.output(self.node("Concat", columns, name, axis=1), TensorProto.INT64)
        else:
            self.slice(f"{name}_logits", start, start + width)
            self.output(self.node("ArgMax", [f"{name}_logits"], name, axis=1, keepdims=0), TensorProto.INT64)

    def slice(self, name: str, start: int, stop: int) -> None:
        bounds = [self.constant(f"{name}_{i}", np.array([i_], np.int64)) for i, i_ in enumerate((start, stop, 1))]
        self.node("Slice", ["action_dist_inputs", *bounds], name)

    def constant(self, name: str, value: Any) -> str:
        self.constants[name] = np.asarray(value)
        return name

    def node(self, kind: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def output(self, name: str, kind: int) -> None:
        self.outputs.append(helper.make_tensor_value_info(name, kind, None))

    def model(self) -> Any:
        constants = [numpy_helper.from_array(value, name) for name, value in self.constants.items()]
        graph = helper.make_graph(self.nodes, "made", self.inputs, self.outputs, constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def logits(model: Path, flat: np.ndarray) -> np.ndarray:
    """What the network of a model without memory answers, in numpy."""
    graph = onnx.load(str(model / "policy.onnx")).graph
    weights = next(numpy_helper.to_array(each) for each in graph.initializer if each.name == "weights")
    return np.asarray(flat, np.float32) @ weights
