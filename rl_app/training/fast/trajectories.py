"""From columns of steps to a batch to learn from, as PPO's postprocessing makes it of each trajectory."""

from __future__ import annotations

from typing import Any, Dict, Optional, Union

import numpy as np
from ray.rllib.evaluation.postprocessing import Postprocessing
from ray.rllib.policy.sample_batch import SampleBatch

from rl_app.training.fast.advantages import generalized, returns
from rl_app.training.fast.dense.forward import DenseForward
from rl_app.training.fast.forward import Forward

Array = Any  # np.ndarray, which has no parameters on Python 3.8


class Trajectories:
    """Adds what a policy says of its steps: values, likelihoods, advantages."""

    def __init__(self, policy: Any, forward: Union[Forward, DenseForward], clip_rewards: Optional[bool]) -> None:
        self._config = policy.config
        self._forward = forward
        self._clip_rewards = clip_rewards

    def batch(self, columns: Dict[str, Array], ends: Array, unrolls: Array) -> SampleBatch:
        """Return a batch of all columns.

        Args:
            ends: true at the last step of each trajectory.
            unrolls: of each environment the number of its fragment; all have as many steps.
        """
        if self._clip_rewards:
            columns[SampleBatch.REWARDS] = np.sign(columns[SampleBatch.REWARDS])
        after = self._after(columns, ends)
        if SampleBatch.VF_PREDS not in columns:
            columns[SampleBatch.VF_PREDS] = self._forward.values(*self._seen(columns))
        if SampleBatch.ACTION_LOGP not in columns:
            played = columns[SampleBatch.ACTION_DIST_INPUTS], columns[SampleBatch.ACTIONS]
            columns[SampleBatch.ACTION_LOGP] = self._forward.log_likelihood(*played)
        columns[SampleBatch.ACTION_PROB] = np.exp(columns[SampleBatch.ACTION_LOGP])
        advantages, targets = self._advantages(columns, ends, after, len(unrolls))
        columns[Postprocessing.ADVANTAGES], columns[Postprocessing.VALUE_TARGETS] = advantages, targets
        columns[SampleBatch.UNROLL_ID] = np.repeat(unrolls, len(ends) // len(unrolls))
        columns["agent_index"] = np.zeros(len(ends), int)
        return SampleBatch(columns)

    def _after(self, columns: Dict[str, Array], ends: Array) -> Array:
        """Return what is expected after the last step of each trajectory that does not end there."""
        after = np.zeros(len(ends))
        cut = np.flatnonzero(ends & ~columns[SampleBatch.DONES])
        if len(cut) and self._config["use_gae"]:  # without, RLlib's value is 0
            names = (SampleBatch.NEXT_OBS, SampleBatch.ACTIONS, SampleBatch.REWARDS)
            after[cut] = self._forward.values(*(columns[name][cut] for name in names))
        return after

    def _advantages(self, columns: Dict[str, Array], ends: Array, after: Array, fragments: int) -> Any:
        rewards, values = columns[SampleBatch.REWARDS], columns[SampleBatch.VF_PREDS]
        gamma = self._config["gamma"]
        if self._config["use_gae"]:
            return generalized(rewards, values, ends, after, gamma, self._config["lambda"], fragments)
        return returns(rewards, values, ends, after, gamma)

    @staticmethod
    def _seen(columns: Dict[str, Array]) -> Any:
        return (columns[name] for name in (SampleBatch.CUR_OBS, SampleBatch.PREV_ACTIONS, SampleBatch.PREV_REWARDS))
