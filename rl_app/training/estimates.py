"""Estimates of a policy's worth from episodes that another has played, as RLlib makes them."""

from __future__ import annotations

from typing import Any, Callable

import numpy as np


def correct(trainer: Any) -> None:
    """Have the estimators of all its workers weigh by probabilities: RLlib 0.8.5 gives them the logarithms."""

    def exponentiate(worker: Any) -> None:
        for estimator in worker.reward_estimators:
            estimator.action_prob = probabilities(estimator.action_prob)

    trainer.workers.foreach_worker(exponentiate)


def probabilities(logarithms: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return a function of a batch that gives the probability of each action, made of that for its logarithm."""

    def of_batch(batch: Any) -> Any:
        return np.exp(logarithms(batch))

    return of_batch
