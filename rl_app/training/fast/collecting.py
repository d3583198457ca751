"""Samples of workers of which some may be slower than others, as on a host that has other work."""

from __future__ import annotations

import math
import time
from heapq import heapify, heapreplace
from typing import Any, List, Sequence, Tuple

import ray
from ray.rllib.policy.sample_batch import SampleBatch
from ray.rllib.utils.memory import ray_get_and_free


def collect(workers: Sequence[Any], steps_each: int, size: int) -> SampleBatch:
    """Return a batch of at least ``size`` steps, with a fragment of each worker or more.

    RLlib's ``collect_samples`` asks each worker again as long as there is not enough under way, and then waits for all
    of them: also for a slow one that it has asked last. Here it is asked again only where that is no loss of time.

    Args:
        steps_each: the steps of a fragment.
    """
    began = time.monotonic()
    under_way = {worker.sample.remote(): Asked(worker, began) for worker in workers}
    samples: List[SampleBatch] = []
    lacking = size
    while under_way:
        (ready,), _ = ray.wait(list(under_way))
        done = under_way.pop(ready)
        samples.append(received(ready))
        lacking -= samples[-1].count
        missing = math.ceil(lacking / steps_each) - len(under_way)
        now = time.monotonic()
        took = now - done.at
        if is_worth_asking(took, [each.expected(now) for each in under_way.values()], missing):
            under_way[done.worker.sample.remote()] = Asked(done.worker, now, took)
    return SampleBatch.concat_samples(samples)


def received(fragment: Any) -> SampleBatch:
    """Return a fragment that a worker has sent, copied.

    That frees its room in Ray's object store. A batch that is larger than the store would not fit: a worker of this
    host fails then, and for what another host sends Ray 0.8.5 waits for ever.
    """
    return ray_get_and_free(fragment).copy()


class Asked:
    """A worker that plays a fragment, since when, and what its last one took, in seconds."""

    def __init__(self, worker: Any, at: float, took: float = 0.0) -> None:
        self.worker, self.at, self._took = worker, at, took

    def expected(self, now: float) -> Tuple[float, float]:
        """Return the seconds until it is done, and what it takes for a fragment: as long as before, or longer."""
        took = max(self._took, now - self.at)
        return self.at + took - now, took


def is_worth_asking(own: float, others: Sequence[Tuple[float, float]], missing: int) -> bool:
    """Return whether a worker is among those that have so many more fragments done first.

    Args:
        own: the seconds that it takes for a fragment.
        others: of each that is under way, the seconds until it is done, and those that it takes for another.
    """
    done = [(left + took, took) for left, took in others]
    heapify(done)
    for _ in range(missing):
        if not done or own <= done[0][0]:
            return True
        at, took = done[0]
        heapreplace(done, (at + took, took))
    return False
