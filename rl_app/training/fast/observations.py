"""From what environments give to what the policy sees: RLlib's preprocessor, then its filter."""

from __future__ import annotations

from typing import Any, Dict, Sequence, Tuple

import numpy as np
from ray.rllib.models.preprocessors import NoPreprocessor
from ray.rllib.utils.filter import NoFilter

from rl_app.training.fast.filters import filtered

Array = Any  # np.ndarray, which has no parameters on Python 3.8


class Observations:
    """Of all environments of a worker, in the order in which RLlib has its filter see them."""

    def __init__(self, worker: Any, policy_id: str) -> None:
        self._preprocessor = worker.preprocessors[policy_id]
        self._filters = worker.filters
        self._policy_id = policy_id

    def first(self, raw: Sequence[Any]) -> Array:
        """Return the observations after a reset of all."""
        return filtered(self._filters[self._policy_id], self._preprocessed(raw))

    def next(self, raw: Sequence[Any], restarted: Dict[int, Any]) -> Tuple[Array, Array]:
        """Return the observations after a step, and those to go on from, which differ where an episode ended.

        Args:
            restarted: what is seen first in the episodes that began, by the environment's index.
        """
        seen, kept = self._preprocessed(raw), self._filters[self._policy_id]
        if not restarted:
            seen = filtered(kept, seen)
            return seen, seen
        over = np.fromiter(restarted, int, len(restarted))
        started = self._preprocessed(list(restarted.values()))
        if type(kept) is NoFilter:
            now = seen.copy()
            now[over] = started
            return seen, now
        # The filter sees the first observation of an episode right after the last of the one before
        rows = filtered(kept, np.insert(seen, over + 1, started, axis=0))
        lasts = np.arange(len(seen))
        lasts += np.searchsorted(over, lasts)
        seen = rows[lasts]
        now = seen.copy()
        now[over] = rows[lasts[over] + 1]
        return seen, now

    def _preprocessed(self, raw: Sequence[Any]) -> Array:
        if type(self._preprocessor) is not NoPreprocessor:
            return np.stack([self._preprocessor.transform(each) for each in raw])
        self._preprocessor.transform(raw[0])  # which looks at one in a hundred
        return np.array(raw)
