"""An exported policy, run without Ray: what evaluate and serve ask for actions.

Flattens, filters, runs the network and bounds its action as the RLlib agent does that the policy was exported
from: the same action to the bit where actions are discrete, within rounding where they are not.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from rl_app.errors import UserError

Array = Any  # numpy 1.23 has no type for "an array of this shape and dtype"
Outputs = Dict[str, Array]
Space = Mapping[str, Any]

# RLlib takes any box of this shape for an Atari machine's memory, and scales it
ATARI_RAM_SHAPE = [128]
# RLlib cuts and shrinks any box of this shape, an Atari machine's screen
ATARI_SCREEN_SHAPE = [210, 160, 3]
# RLlib's MIN_LOG_NN_OUTPUT and MAX_LOG_NN_OUTPUT, and its SMALL_NUMBER
SQUASHED_LOG_STD = (-20.0, 2.0)
SMALL = 1e-6

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


class Policy:
    """A policy as ``rl_app.export`` wrote it. Calls of different threads do not disturb each other.

    Attributes:
        facts: what policy.json holds.
        observation_space, action_space: as ``rl_app.spaces.describe`` gives them.
        observation_size: length of the flat observation vector.
        state_sizes: length of each recurrent state; empty for a policy without memory.
        inputs: what the network takes beside observations, states and sequence lengths (``prev_action``, …).
        engine: ``onnxruntime`` or ``tensorflow``.
        dtype: of flat observations.
        leaves: the parts of an observation, in the order in which they stand in the flat vector.
    """

    def __init__(self, facts: Mapping[str, Any], network: Network) -> None:
        self.facts = facts
        self.observation_space: Space = facts["observation_space"]
        self.action_space: Space = facts["action_space"]
        self.observation_size = size(self.observation_space)
        self.state_sizes: List[int] = list(facts["state_sizes"])
        self.engine = network.engine
        self.inputs = {
            name: given
            for name, given in network.inputs.items()
            if name not in ("observations", "seq_lens") and not name.startswith("state_in_")
        }
        self._network = network
        self._shape: Tuple[int, ...] = network.inputs["observations"].shape or ()
        statistics = None if network.filters else facts["observation_filter"]
        self._mean = None if statistics is None else np.array(statistics["mean"])
        self._scale = None if statistics is None else np.array(statistics["std"]) + 1e-8
        # RLlib filters in float64; what is not filtered is a float32 of the network at once
        self.dtype = np.dtype(np.float32 if statistics is None else np.float64)
        self.leaves = list(_leaves(self.observation_space, self.dtype))
        self._parts = _parts(self.action_space)

    @classmethod
    def load(cls, directory: Path) -> Policy:
        """Reads ``policy.json`` and ``policy.onnx`` (where there is none, ``1/saved_model.pb`` with TensorFlow).

        Raises:
            UserError: a file is missing, is no such file, or does not fit the others; it is named.
        """
        facts = read_facts(directory / "policy.json")
        try:
            policy = cls(facts, _network(directory, facts))
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"{directory / 'policy.json'}: {type(error).__name__}: {error}") from error
        width = math.prod(policy._shape)
        if width != policy.observation_size:
            raise UserError(
                f"{directory}: observations of policy.json's space have {policy.observation_size} numbers, "
                f"the network takes {width}"
            )
        return policy

    def initial_state(self, batch: int) -> List[Array]:
        """The recurrent state at the start of an episode, each [batch, size]; none without memory."""
        return [np.zeros((batch, length), np.float32) for length in self.state_sizes]

    def flatten(self, observations: Sequence[Any]) -> Array:
        """Raw observations of the space to RLlib's flat vectors, [batch, observation_size] of ``dtype``.

        One-hot for Discrete; Box, MultiBinary and MultiDiscrete as they are; Tuple in order, Dict in the space's
        order of keys (which is sorted unless the space was made from an OrderedDict).

        Raises:
            ValueError, IndexError, KeyError, TypeError: an observation is not of the space.
        """
        if not self.leaves[0].path:
            return self.leaves[0].write(observations)
        return np.concatenate([leaf.write([leaf.pick(each) for each in observations]) for leaf in self.leaves], axis=1)

    def act(
        self,
        flat: Array,
        state: Sequence[Array] = (),
        deterministic: bool = True,
        rng: Optional[np.random.Generator] = None,
        previous: Optional[Mapping[str, Array]] = None,
    ) -> Outputs:
        """Asks the policy for one step of each row.

        Args:
            flat: [batch, observation_size], of :meth:`flatten`.
            state: recurrent state before the step, each [batch, size]; the initial one where none is given.
            deterministic: the mode of the action distribution, else a sample of ``rng``.
            previous: ``prev_action`` [batch, …] and ``prev_reward`` [batch] for networks that take them, else zeros.

        Returns:
            By the names of RLlib's signature, each with the batch first: ``actions_0`` … as the network gives them
            (:meth:`bounded` makes them the environment's), ``action_dist_inputs``, ``action_logp``, ``vf_preds``,
            ``state_out_0`` … where the policy has them.

        Raises:
            UserError: sampling, where the policy has no distribution to sample from.
        """
        outputs = self._network.run(self._feeds(flat, state, previous or {}))
        return outputs if deterministic else self.sample(outputs, rng or np.random.default_rng())

    def sample(self, outputs: Outputs, rng: np.random.Generator) -> Outputs:
        """The same outputs with actions drawn from ``action_dist_inputs``, and their probabilities.

        Raises:
            UserError: the policy has no distribution to sample from.
        """
        if self.unsampled is not None:
            raise UserError(self.unsampled)
        drawn = _draw(self.facts["action_distribution"], self._parts, outputs["action_dist_inputs"], rng)
        sampled = dict(outputs, **{f"actions_{i}": actions for i, (actions, _) in enumerate(drawn)})
        if "action_logp" in outputs:
            sampled["action_logp"] = sum(logp for _, logp in drawn)
            sampled["action_prob"] = np.exp(sampled["action_logp"])
        return sampled

    @property
    def unsampled(self) -> Optional[str]:
        """Why actions cannot be sampled; None where they can."""
        distribution = self.facts["action_distribution"]
        # RLlib calls the Q values the logits of a Categorical; its agents explore by epsilon-greedy instead
        by_value = "q_values" in self.facts["outputs"] and distribution == "Categorical"
        if by_value or distribution not in (*_DRAWS, "MultiActionDistribution"):
            return f"{self.facts['algorithm']} has no distribution to sample an action from"
        return None

    def bounded(self, outputs: Outputs) -> Outputs:
        """The same outputs with actions that the environment takes: as RLlib's agent clips and scales them."""
        clip, scale = self.facts["clip_actions"], self.facts["normalize_actions"] and len(self._parts) == 1
        if not clip and not scale:
            return outputs
        bounded = dict(outputs)
        for i, part in enumerate(self._parts):
            if part.low is None:
                continue
            actions = outputs[f"actions_{i}"]
            if clip:
                actions = np.clip(actions, part.low, part.high)
            if scale:
                actions = np.clip(part.low + (actions + 1.0) * (part.high - part.low) / 2.0, part.low, part.high)
            bounded[f"actions_{i}"] = actions
        return bounded

    def env_actions(self, outputs: Outputs) -> Sequence[Any]:
        """One action a row, each as ``env.step`` takes it: bounded, and a tuple for Tuple spaces."""
        bounded = self.bounded(outputs)
        columns = [bounded[f"actions_{i}"] for i in range(len(self._parts))]
        actions: Sequence[Any] = list(zip(*columns)) if self.action_space["type"] == "Tuple" else columns[0]
        return actions

    def _feeds(self, flat: Array, state: Sequence[Array], previous: Mapping[str, Array]) -> Dict[str, Array]:
        if self._mean is not None:
            flat = (flat - self._mean) / self._scale
        batch = len(flat)
        feeds = {"observations": flat.astype(np.float32, copy=False).reshape((batch, *self._shape))}
        for name, given in self.inputs.items():
            if name in previous:
                feeds[name] = np.asarray(previous[name], given.dtype)
            else:
                feeds[name] = np.zeros(() if given.shape is None else (batch, *given.shape), given.dtype)
        if self.state_sizes:
            states = state or self.initial_state(batch)
            feeds.update({f"state_in_{i}": np.asarray(each, np.float32) for i, each in enumerate(states)})
            if "seq_lens" in self._network.inputs:
                feeds["seq_lens"] = np.ones(batch, np.int32)
        return feeds


def size(space: Space) -> int:
    """How many numbers an observation of the space has in RLlib's flat vector."""
    return sum(leaf.width for leaf in _leaves(space, np.float32))


# ---- files


def read_facts(file: Path) -> Dict[str, Any]:
    """What policy.json says; raises UserError where it is missing or no policy.json."""
    try:
        facts = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{file}: no such file; a model is a directory that a training job exported") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{file}: cannot be read: {error}") from error
    missing = [key for key in _FACTS if not isinstance(facts, dict) or key not in facts]
    if missing:
        raise UserError(f"{file}: {', '.join(missing)} missing; it is no policy.json of this program")
    return dict(facts)


_FACTS = (
    "algorithm",
    "observation_space",
    "action_space",
    "observation_filter",
    "action_distribution",
    "normalize_actions",
    "clip_actions",
    "state_sizes",
    "inputs",
    "outputs",
)


def _network(directory: Path, facts: Mapping[str, Any]) -> Network:
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
    """The SavedModel, for a graph that is not there as ONNX."""
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


# ---- observations


class Leaf(NamedTuple):
    """One part of an observation that is no Tuple or Dict: where it lies, and how it goes into the flat vector."""

    path: Tuple[Any, ...]
    space: Space
    width: int
    write: Callable[[Sequence[Any]], Array]

    def pick(self, observation: Any) -> Any:
        for key in self.path:
            observation = observation[key]
        return observation


def _leaves(space: Space, dtype: Any, path: Tuple[Any, ...] = ()) -> Iterator[Leaf]:
    kind = space["type"]
    if kind == "Dict":
        for key, part in space["spaces"].items():
            yield from _leaves(part, dtype, (*path, key))
    elif kind == "Tuple":
        for i, part in enumerate(space["spaces"]):
            yield from _leaves(part, dtype, (*path, i))
    elif kind == "Discrete":
        yield Leaf(path, space, space["n"], _one_hot(space["n"], dtype))
    elif kind == "Box" and space["shape"] == ATARI_SCREEN_SHAPE:
        raise UserError("observations of the shape (210, 160, 3) are Atari screens, which RLlib cuts: wrap the env")
    elif kind == "Box" and space["shape"] == ATARI_RAM_SHAPE:
        yield Leaf(path, space, ATARI_RAM_SHAPE[0], _atari_ram(space["dtype"], dtype))
    else:
        width = _length(space)
        yield Leaf(path, space, width, _as_it_is(width, dtype))


def _length(space: Space) -> int:
    if space["type"] == "Box":
        return math.prod(space["shape"])
    return len(space["nvec"]) if space["type"] == "MultiDiscrete" else int(space["n"])


def _one_hot(width: int, dtype: Any) -> Callable[[Sequence[Any]], Array]:
    def write(values: Sequence[Any]) -> Array:
        rows = np.zeros((len(values), width), dtype)
        rows[np.arange(len(values)), np.asarray(values)] = 1.0
        return rows

    return write


def _as_it_is(width: int, dtype: Any) -> Callable[[Sequence[Any]], Array]:
    def write(values: Sequence[Any]) -> Array:
        return np.array(values, dtype).reshape(len(values), width)

    return write


def _atari_ram(own: str, dtype: Any) -> Callable[[Sequence[Any]], Array]:
    def write(values: Sequence[Any]) -> Array:
        # In the space's dtype, because RLlib's subtraction wraps around in uint8
        return ((np.asarray(values, own) - 128) / 128).astype(dtype)

    return write


# ---- actions


class Part(NamedTuple):
    """One part of the action: its space, and its bounds where it is a Box."""

    space: Space
    low: Optional[Array]
    high: Optional[Array]


def _parts(space: Space) -> List[Part]:
    if space["type"] == "Tuple":
        return [part for each in space["spaces"] for part in _parts(each)]
    if space["type"] != "Box":
        return [Part(space, None, None)]
    low = [-math.inf if bound is None else bound for bound in space["low"]]
    high = [math.inf if bound is None else bound for bound in space["high"]]
    shape, dtype = space["shape"], space["dtype"]
    return [Part(space, np.array(low, dtype).reshape(shape), np.array(high, dtype).reshape(shape))]


def _draw(
    distribution: str, parts: Sequence[Part], inputs: Array, rng: np.random.Generator
) -> List[Tuple[Array, Array]]:
    """Actions and their log-probabilities, a pair for each part of the action."""
    if distribution != "MultiActionDistribution":
        return [_DRAWS[distribution](inputs, parts[0].space, rng)]
    names = [_OF_PART[part.space["type"]] for part in parts]
    widths = [_WIDTHS[name](part.space) for name, part in zip(names, parts)]
    split = np.split(inputs, np.cumsum(widths)[:-1], axis=1)
    return [_DRAWS[name](columns, part.space, rng) for name, columns, part in zip(names, split, parts)]


def _categorical(logits: Array, _: Space, rng: np.random.Generator) -> Tuple[Array, Array]:
    shifted = logits - logits.max(axis=1, keepdims=True)
    logp = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    actions = np.argmax(logp + rng.gumbel(size=logp.shape), axis=1)
    return actions, np.take_along_axis(logp, actions[:, None], axis=1)[:, 0]


def _multi_categorical(logits: Array, space: Space, rng: np.random.Generator) -> Tuple[Array, Array]:
    split = np.split(logits, np.cumsum(space["nvec"])[:-1], axis=1)
    drawn = [_categorical(columns, space, rng) for columns in split]
    return np.stack([actions for actions, _ in drawn], axis=1), sum(logp for _, logp in drawn)


def _normal(mean: Array, log_std: Array, rng: np.random.Generator) -> Tuple[Array, Array]:
    noise = rng.standard_normal(mean.shape, dtype=np.float32)
    logp = -0.5 * noise**2 - 0.5 * np.float32(math.log(2.0 * math.pi)) - log_std
    return mean + np.exp(log_std) * noise, logp


def _diag_gaussian(inputs: Array, _: Space, rng: np.random.Generator) -> Tuple[Array, Array]:
    mean, log_std = np.split(inputs, 2, axis=1)
    actions, logp = _normal(mean, log_std, rng)
    return actions, logp.sum(axis=1)


def _squashed_gaussian(inputs: Array, _: Space, rng: np.random.Generator) -> Tuple[Array, Array]:
    mean, log_std = np.split(inputs, 2, axis=1)
    raw, logp = _normal(mean, np.clip(log_std, *SQUASHED_LOG_STD), rng)
    actions = np.tanh(raw)
    return actions, np.clip(logp, -100, 100).sum(axis=1) - np.log(1 - actions**2 + SMALL).sum(axis=1)


_DRAWS: Dict[str, Callable[[Array, Space, np.random.Generator], Tuple[Array, Array]]] = {
    "Categorical": _categorical,
    "MultiCategorical": _multi_categorical,
    "DiagGaussian": _diag_gaussian,
    "SquashedGaussian": _squashed_gaussian,
}

# What RLlib's MultiActionDistribution makes of each part of a Tuple, and how many inputs that takes
_OF_PART = {"Discrete": "Categorical", "MultiDiscrete": "MultiCategorical", "Box": "DiagGaussian"}
_WIDTHS: Dict[str, Callable[[Space], int]] = {
    "Categorical": lambda space: int(space["n"]),
    "MultiCategorical": lambda space: sum(space["nvec"]),
    "DiagGaussian": lambda space: 2 * math.prod(space["shape"]),
}
