"""Asynchronous trainers whose workers play on at an iteration's end."""

from __future__ import annotations

import time
from typing import Any, Optional, Sequence

AHEAD = ("APPO", "IMPALA")
"""These have each worker asked for two fragments at once: it answers nothing else before those are played."""


class PlayingOn:
    """Has a trainer's workers play on while the slowest has yet to tell of its episodes.

    RLlib's asks all for them at an iteration's end, and asks nobody for samples until all have answered: a worker that
    is four times slower leaves the others idle for six of their fragments.
    """

    def collect_metrics(self: Any, selected_workers: Optional[Sequence[Any]] = None) -> Any:
        """Return RLlib's figures of the iteration, which has become longer by what was played meanwhile."""
        if self._name in AHEAD:
            import ray

            selected_workers = [Asked(each) for each in selected_workers or self.workers.remote_workers()]
            answers = [each.answer for each in selected_workers]
            deadline = time.monotonic() + self.config["collect_metrics_timeout"]
            while ray.wait(answers, num_returns=len(answers), timeout=0)[1] and time.monotonic() < deadline:
                self.optimizer.step()
        return super().collect_metrics(selected_workers)  # type: ignore[misc]  # RLlib's, which has no types


class Asked:
    """A worker that has been asked for its episodes, as `collect_episodes` asks for them: ``apply.remote(…)``."""

    def __init__(self, worker: Any) -> None:
        self.answer = worker.apply.remote(lambda each: each.get_metrics())
        self.apply = self

    def remote(self, _: Any) -> Any:
        """Return what the worker will answer."""
        return self.answer
