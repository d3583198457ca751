"""RLlib's optimizer of a policy, with SGD as a loop inside the graph."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Type, Union

from ray.rllib.optimizers.policy_optimizer import PolicyOptimizer
from ray.rllib.policy.sample_batch import DEFAULT_POLICY_ID, SampleBatch
from ray.rllib.utils.sgd import standardized
from ray.rllib.utils.timer import TimerStat

from rl_app.training.fast.collecting import collect, received
from rl_app.training.fast.dense.learner import DenseLearner, can_learn
from rl_app.training.fast.minibatches import Minibatches, simple, sliced
from rl_app.training.fast.session import load_quickly
from rl_app.training.fast.sgd import Loop


class LoopOptimizer(PolicyOptimizer):  # type: ignore[misc]  # Ray has no types
    """SyncSamplesOptimizer where the config says ``simple_optimizer``, else LocalMultiGPUOptimizer on the CPU.

    Batches, minibatches and figures are theirs, and the same random numbers are drawn. Of several workers the slow
    ones are asked for less.
    """

    def __init__(self, workers: Any, config: Mapping[str, Any]) -> None:
        super().__init__(workers)
        self._config = config
        policy = workers.local_worker().get_policy()
        kind: Type[Union[Loop, DenseLearner]] = DenseLearner if can_learn(policy) else Loop
        self._loop = kind(policy)
        for coefficient in (policy.kl_coeff, policy.cur_lr, policy.entropy_coeff):
            load_quickly(policy.get_session(), coefficient)
        self.sample_timer, self.grad_timer, self.update_weights_timer = TimerStat(), TimerStat(), TimerStat()
        self.learner_stats: Dict[str, Any] = {}

    def step(self) -> Dict[str, Any]:
        """Sample a batch and learns from it."""
        with self.update_weights_timer:
            self.workers.sync_weights()
        with self.sample_timer:
            batch = self._sampled()
        with self.grad_timer:
            batch["advantages"] = standardized(batch["advantages"])
            minibatches = self._minibatches(batch.count)
            found = self._loop.run(batch, minibatches)
        simple_ = self._config["simple_optimizer"]
        self.num_steps_sampled += batch.count
        self.num_steps_trained += batch.count if simple_ else len(minibatches.rows)
        self.learner_stats = found if simple_ else {DEFAULT_POLICY_ID: found}
        return self.learner_stats

    def _sampled(self) -> SampleBatch:
        remote, size = self.workers.remote_workers(), self._config["train_batch_size"]
        if remote and not self._config["simple_optimizer"]:
            fragment, envs = self._config["rollout_fragment_length"], self._config["num_envs_per_worker"]
            return collect(remote, fragment * envs, size)
        samples: List[SampleBatch] = []
        while sum(each.count for each in samples) < size:
            asked = [each.sample.remote() for each in remote]
            while asked:
                samples.append(received(asked.pop(0)))
            if not remote:
                samples.append(self.workers.local_worker().sample())
        return samples[0] if len(samples) == 1 else SampleBatch.concat_samples(samples)

    def _minibatches(self, count: int) -> Minibatches:
        size, epochs = self._config["sgd_minibatch_size"], self._config["num_sgd_iter"]
        if self._config["simple_optimizer"]:
            return simple(count, size, epochs)
        return sliced(count, size, epochs, self._config["shuffle_sequences"])

    def stats(self) -> Dict[str, Any]:
        """Return what RLlib's optimizers tell in a result."""
        timers = {"sample": self.sample_timer, "grad": self.grad_timer, "update": self.update_weights_timer}
        milliseconds = {f"{name}_time_ms": round(1000 * timer.mean, 3) for name, timer in timers.items()}
        return {**super().stats(), **milliseconds, "learner": self.learner_stats}
