"""An exported policy, run without Ray: what evaluate and serve ask for actions.

Flattens, filters, runs the network and bounds its action as the RLlib agent does that the policy was exported
from: the same action to the bit where actions are discrete, within rounding where they are not.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from rl_app.errors import UserError
from rl_app.policy import signature
from rl_app.policy.distributions import Part, can_draw, draw, part_of
from rl_app.policy.facts import check_network, names_several
from rl_app.policy.loading import Network, Outputs, load_network, read_facts
from rl_app.spaces.description import Array, Space, action_of, actors, leaves
from rl_app.spaces.flattening import leaves_of, size
from rl_app.typed import Mismatch


class Policy:
    """A policy as ``rl_app.policy.export`` wrote it. Calls of different threads do not disturb each other.

    Attributes:
        facts: what policy.json holds.
        observation_space, action_space: as ``rl_app.spaces.description.describe`` gives them.
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
        self._clip = None if statistics is None else statistics.get("clip")
        # RLlib filters in float64; what is not filtered is a float32 of the network at once
        self.dtype = np.dtype(np.float32 if statistics is None else np.float64)
        self.leaves = list(leaves_of(self.observation_space, self.dtype))
        self._actors = actors(self.action_space)
        self._parts = [part_of(actor, leaf) for actor, (_, leaf) in zip(self._actors, leaves(self.action_space))]

    @classmethod
    def load(cls, directory: Path) -> Policy:
        """Read ``policy.json`` and ``policy.onnx`` (where there is none, ``1/saved_model.pb`` with TensorFlow).

        A SavedModel without ``policy.json`` is RLlib's own, and goes by its signature.

        Raises:
            UserError: a file is missing, is no such file, or does not fit the others; it is named.
        """
        if signature.is_without_facts(directory):
            facts = signature.facts_of(directory)
            return cls(facts, signature.with_best_action(load_network(directory, facts), facts))
        facts = read_facts(directory / "policy.json")
        if names_several(facts):
            raise UserError(
                f"{directory}: has the policies {', '.join(facts['policies'])}, each in {directory}/policies"
            )
        network = load_network(directory, facts)
        try:
            check_network(facts, network.inputs)
            policy = cls(facts, network)
        except Mismatch as error:
            raise UserError(f"{directory / 'policy.json'}: {error}") from None
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
        """Give the recurrent state at the start of an episode, each [batch, size]; none without memory."""
        return [np.zeros((batch, length), np.float32) for length in self.state_sizes]

    def flatten(self, observations: Sequence[Any]) -> Array:
        """Make raw observations of the space RLlib's flat vectors, [batch, observation_size] of ``dtype``.

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
        """Ask the policy for one step of each row.

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
        """Give the same outputs with actions drawn from ``action_dist_inputs``, and their probabilities.

        Raises:
            UserError: the policy has no distribution to sample from.
        """
        if self.unsampled is not None:
            raise UserError(self.unsampled)
        drawn = draw(self.facts["action_distribution"], self._parts, outputs["action_dist_inputs"], rng)
        sampled = dict(outputs, **{f"actions_{i}": actions for i, (actions, _) in enumerate(drawn)})
        if "action_logp" in outputs:
            sampled["action_logp"] = sum(logp for _, logp in drawn)
            sampled["action_prob"] = np.exp(sampled["action_logp"])
        return sampled

    @property
    def unsampled(self) -> Optional[str]:
        """Tells why actions cannot be sampled; None where they can."""
        distribution = self.facts["action_distribution"]
        # RLlib calls the Q values the logits of a Categorical; its agents explore by epsilon-greedy instead
        by_value = "q_values" in self.facts["outputs"] and distribution == "Categorical"
        if "." in distribution:
            return f"{distribution} is of your own code, of which the exported policy has the best action alone"
        if by_value or not can_draw(distribution):
            return f"{self.facts['algorithm']} has no distribution to sample an action from"
        return None

    def bounded(self, outputs: Outputs) -> Outputs:
        """Give the same outputs with actions that the environment takes.

        As RLlib's agent clips and scales them, then from where its space starts, and of its shape and dtype.
        """
        bounded = dict(outputs)
        for i, (part, actor) in enumerate(zip(self._parts, self._actors)):
            bounded[f"actions_{i}"] = actor.of_batch(self._clipped(part, outputs[f"actions_{i}"]))
        return bounded

    def _clipped(self, part: Part, actions: Array) -> Array:
        if part.low is None:
            return actions
        if self.facts["clip_actions"]:
            actions = np.clip(actions, part.low, part.high)
        if self.facts["normalize_actions"] and len(self._parts) == 1:
            actions = np.clip(part.low + (actions + 1.0) * (part.high - part.low) / 2.0, part.low, part.high)
        return actions

    def rllib_actions(self, outputs: Outputs) -> Sequence[Any]:
        """Give one action a row, each as RLlib's sampler sends it on: bounded, a tuple where it has several parts."""
        columns = [self._clipped(part, outputs[f"actions_{i}"]) for i, part in enumerate(self._parts)]
        actions: Sequence[Any] = columns[0] if len(columns) == 1 else list(zip(*columns))
        return actions

    def env_actions(self, outputs: Outputs) -> Sequence[Any]:
        """Give one action a row, each as ``env.step`` takes it: bounded, and nested as its space is."""
        bounded = self.bounded(outputs)
        columns = [bounded[f"actions_{i}"] for i in range(len(self._parts))]
        inside = self.action_space["type"] in ("Tuple", "Dict")
        rows: Sequence[Any] = [action_of(self.action_space, row) for row in zip(*columns)] if inside else columns[0]
        return rows

    def _feeds(self, flat: Array, state: Sequence[Array], previous: Mapping[str, Array]) -> Dict[str, Array]:
        if self._mean is not None:
            flat = (flat - self._mean) / self._scale
            flat = flat if self._clip is None else np.clip(flat, -self._clip, self._clip)
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
