"""Samples of workers of which one is slow: it costs no more than what it would have played."""

from __future__ import annotations

import time
from typing import Iterator, List

import numpy as np
import pytest
import ray
from ray.rllib.policy.sample_batch import SampleBatch

from rl_app.machine import detect
from rl_app.training import ray_runtime
from rl_app.training.fast.collecting import collect, is_worth_asking

STEPS = 5


@ray.remote(num_cpus=0)
class Waiting:
    def __init__(self, seconds: float) -> None:
        self._seconds, self._times = seconds, 0

    def sample(self) -> SampleBatch:
        time.sleep(self._seconds)
        self._times += 1
        return SampleBatch({"obs": np.full(STEPS, self._seconds)})

    def times(self) -> int:
        return self._times


@ray.remote(num_cpus=0)
class Seeing:
    """Sends 8 MB at once."""

    def sample(self) -> SampleBatch:
        return SampleBatch({"obs": np.ones((STEPS, 200_000))})


@pytest.fixture(scope="module")
def ray_runs() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ray_runtime, "LARGEST_STORE", ray_runtime.SMALLEST_STORE)
        with ray_runtime.running(detect()):
            yield


def played(seconds: List[float], fragments: int) -> List[int]:
    """How often each worker was asked for a batch of so many fragments."""
    workers = [Waiting.remote(each) for each in seconds]
    assert ray.get([each.times.remote() for each in workers]) == [0] * len(workers)  # all are there
    assert collect(workers, STEPS, fragments * STEPS).count == fragments * STEPS
    return list(ray.get([each.times.remote() for each in workers]))


def test_a_slow_worker_is_not_asked_for_what_the_others_have_done_sooner(ray_runs: None) -> None:
    slow, *others = played([1.0, 0.1, 0.1], 24)
    assert slow == 1 and sum(others) == 23


def test_equal_workers_do_equal_shares_and_one_alone_does_all(ray_runs: None) -> None:
    assert max(played([0.2, 0.2, 0.2], 9)) <= 4
    assert played([0.01], 5) == [5]


def test_each_worker_plays_even_where_fewer_would_do(ray_runs: None) -> None:
    workers = [Waiting.remote(0.01) for _ in range(3)]
    assert collect(workers, STEPS, STEPS).count == 3 * STEPS


def test_a_batch_may_be_larger_than_the_store_of_ray(ray_runs: None) -> None:
    batch = collect([Seeing.remote(), Seeing.remote()], STEPS, 20 * STEPS)
    assert batch["obs"].nbytes > 2 * ray_runtime.SMALLEST_STORE and batch["obs"].min() == 1


@pytest.mark.parametrize(
    ("own", "others", "missing", "worth"),
    [
        (1.0, [], 1, True),  # nobody else is there
        (1.0, [(0.5, 1.0)], 0, False),  # there is enough under way
        (1.0, [(0.0, 1.0)], 1, True),  # as soon as another
        (4.0, [(0.0, 1.0)], 3, False),
        (4.0, [(0.0, 1.0)], 4, True),
        (4.0, [(0.0, 1.0), (0.5, 1.0)], 6, False),  # done after 1, 1.5, 2, 2.5, 3, 3.5
        (4.0, [(0.0, 1.0), (0.5, 1.0)], 7, True),
    ],
)
def test_who_is_asked_again(own: float, others: List, missing: int, worth: bool) -> None:
    assert is_worth_asking(own, others, missing) is worth
