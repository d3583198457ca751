"""RLlib's PPO with the lean sampler in its workers and the loop in its learner, where they can be."""

from __future__ import annotations

from typing import Any, Dict, Iterator, List, Mapping, Tuple

from ray.rllib.agents.ppo.ppo import PPOTrainer, choose_policy_optimizer
from ray.rllib.agents.ppo.ppo_tf_policy import (
    PPOTFPolicy,
    clip_gradients,
    kl_and_loss_stats,
    ppo_surrogate_loss,
)
from ray.rllib.policy.tf_policy import TFPolicy
from ray.rllib.utils import try_import_tf

from rl_app.machine import cpus_of_process
from rl_app.training.fast import limits, sgd
from rl_app.training.fast.optimizer import LoopOptimizer
from rl_app.training.fast.sampler import LeanSampler

tf = try_import_tf()
THREADS = ("intra_op_parallelism_threads", "inter_op_parallelism_threads")


def gradients(policy: Any, optimizer: Any, loss: Any) -> List[Tuple[Any, Any]]:
    """Return the gradients; none where they would never be used, for to build them takes a second."""
    if not learns_outside(policy):
        return []
    return list(clip_gradients(policy, optimizer, loss))


def loss(policy: Any, model: Any, dist_class: Any, train_batch: Mapping[str, Any]) -> Any:
    """PPO's, where it is used; else what tells RLlib which columns PPO's takes."""
    if learns_outside(policy):
        return ppo_surrogate_loss(policy, model, dist_class, train_batch)
    for name in sgd.COLUMNS:
        train_batch[name]
    return tf.constant(0.0)


def figures(policy: Any, train_batch: Mapping[str, Any]) -> Any:
    """Return the learner's, where it is this policy that learns."""
    return kl_and_loss_stats(policy, train_batch) if learns_outside(policy) else {}


def apply_gradients(policy: Any, optimizer: Any, grads_and_vars: List[Tuple[Any, Any]]) -> Any:
    """RLlib's operation, where there is something to apply."""
    return TFPolicy.build_apply_op(policy, optimizer, grads_and_vars) if grads_and_vars else tf.no_op()


def learns_outside(policy: Any) -> bool:
    """Return whether the policy learns, and not in the loop. Those of the workers do not."""
    return policy.config["worker_index"] == 0 and sgd.obstacle(policy) is not None


def make_workers(trainer: Any, env_creator: Any, policy: Any, config: Mapping[str, Any]) -> Any:
    """RLlib's workers, with the lean sampler where it can be."""
    config = {**config, "local_tf_session_args": no_more_threads_than_cpus(config["local_tf_session_args"])}
    workers = trainer._make_workers(env_creator, policy, config, config["num_workers"])
    if limits.of_sampler(workers.local_worker()) is None:
        use_lean_sampler(workers.local_worker())
        for worker in workers.remote_workers():
            worker.apply.remote(use_lean_sampler)
    return workers


def no_more_threads_than_cpus(session_args: Mapping[str, Any]) -> Dict[str, Any]:
    """Return what a session is made with; with RLlib's 8 threads two CPUs take 1.6 times as long for 256 x 256."""
    cpus = cpus_of_process()
    return {name: min(value, cpus) if name in THREADS else value for name, value in session_args.items()}


def use_lean_sampler(worker: Any) -> None:
    """Have a rollout worker, which has not sampled yet, sample by the lean sampler."""
    worker.sampler = worker.input_reader = LeanSampler(worker)


def make_policy_optimizer(workers: Any, config: Mapping[str, Any]) -> Any:
    """Return the optimizer with the loop, where it can be."""
    if sgd.obstacle(workers.local_worker().get_policy()) is None:
        return LoopOptimizer(workers, config)
    return choose_policy_optimizer(workers, config)


FastPolicy = PPOTFPolicy.with_updates(
    loss_fn=loss, stats_fn=figures, gradients_fn=gradients, apply_gradients_fn=apply_gradients
)


def fallbacks(trainer: Any) -> Iterator[str]:
    """Yield what RLlib's own does in this trainer, a line for each reason."""
    worker = trainer.workers.local_worker()
    reasons: Dict[str, List[str]] = {}
    for part, reason in (("sampler", limits.of_sampler(worker)), ("optimizer", sgd.obstacle(worker.get_policy()))):
        if reason:
            reasons.setdefault(reason, []).append(part)
    for reason, parts in reasons.items():
        yield f"trained by RLlib's own {' and '.join(parts)}, which is slower: {reason}"


FastPPO = PPOTrainer.with_updates(
    default_policy=FastPolicy,
    get_policy_class=lambda config: FastPolicy,
    make_workers=make_workers,
    make_policy_optimizer=make_policy_optimizer,
)
