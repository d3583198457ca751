"""What a policy says of many observations, by calls of TensorFlow's session that are made ready once."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Sequence, Set, Tuple

import numpy as np
from ray.rllib.policy.sample_batch import SampleBatch

from rl_app.training.fast.session import ready

Array = Any  # np.ndarray, which has no parameters on Python 3.8


class Forward:
    """The policy's own tensors: actions at each step, and of all steps together what is needed but to learn.

    Where policy and value have networks of their own, the values are computed of a whole fragment at once. Where
    they share layers that would compute these twice, and an episode that is no fragment may go on with other weights:
    then they come with the actions.
    """

    def __init__(self, policy: Any) -> None:
        self._values = policy.extra_compute_action_fetches()[SampleBatch.VF_PREDS]
        model = policy.config["model"]
        shared = policy.config["vf_share_layers"] or model.get("custom_model")
        at_each_step = {SampleBatch.ACTIONS: policy._sampled_action}
        at_each_step[SampleBatch.ACTION_DIST_INPUTS] = policy._dist_inputs
        if shared or not in_fragments(policy.config):
            at_each_step[SampleBatch.VF_PREDS] = self._values
        if model.get("custom_action_dist"):  # which may look at the network too
            at_each_step[SampleBatch.ACTION_LOGP] = policy._sampled_action_logp
        session, self._inputs = policy.get_session(), _inputs_of(policy)
        self._names = tuple(at_each_step)
        self._act = _Call(session, list(at_each_step.values()), self._inputs)
        self._value = _Call(session, [self._values], self._inputs)
        if SampleBatch.ACTION_LOGP not in at_each_step:
            given = [policy._dist_inputs, policy._action_input]
            self._log_likelihood = ready(session, [policy._log_likelihood], given, callers_thread=True)

    def begin(self) -> None:
        """Do nothing: TensorFlow has the weights."""

    def act(self, observations: Array, actions: Array, rewards: Array) -> Dict[str, Array]:
        """Return what to do next; ``actions`` and ``rewards`` are those before."""
        return dict(zip(self._names, self._act(observations, actions, rewards)))

    def values(self, observations: Array, actions: Array, rewards: Array) -> Array:
        """Return the values of the observations."""
        (values,) = self._value(observations, actions, rewards)
        return values

    def log_likelihood(self, dist_inputs: Array, actions: Array) -> Array:
        """Return how likely the actions were."""
        (logp,) = self._log_likelihood(dist_inputs, actions)
        return logp


class _Call:
    """A session's call that is fed no more than it needs: each placeholder costs microseconds."""

    def __init__(self, session: Any, tensors: Sequence[Any], inputs: Sequence[Any]) -> None:
        needed = _needed(tensors)
        self._fed = [number for number, placeholder in enumerate(inputs) if placeholder.op.name in needed]
        self._call = ready(session, tensors, [inputs[number] for number in self._fed], callers_thread=True)

    def __call__(self, *values: Array) -> List[Array]:
        return self._call(*(values[number] for number in self._fed))


def in_fragments(config: Mapping[str, Any]) -> bool:
    """Return whether batches are fragments, each of one policy's steps, and not whole episodes."""
    return bool(config["batch_mode"] == "truncate_episodes")


def _inputs_of(policy: Any) -> Tuple[Any, Any, Any]:
    return policy._obs_input, policy._prev_action_input, policy._prev_reward_input


def _needed(tensors: Sequence[Any]) -> Set[str]:
    """Return the names of all operations that the tensors are computed from."""
    seen: Set[str] = set()
    waiting = [tensor.op for tensor in tensors]
    while waiting:
        operation = waiting.pop()
        if operation.name not in seen:
            seen.add(operation.name)
            waiting += [tensor.op for tensor in operation.inputs] + list(operation.control_inputs)
    return seen


def zeros_of(policy: Any, count: int) -> Array:
    """Return the actions that stand for none."""
    placeholder = policy._action_input
    return np.zeros((count, *placeholder.shape.as_list()[1:]), placeholder.dtype.as_numpy_dtype)
