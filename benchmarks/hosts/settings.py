"""What both are given: PPO whose batch grows with the workers, two of them a host."""

from __future__ import annotations

from typing import Any, Dict

WORKERS_A_HOST, STEPS_A_WORKER = 2, 200
ONE_THREAD = {"intra_op_parallelism_threads": 1, "inter_op_parallelism_threads": 1}


def config(hosts: int, step_s: float) -> Dict[str, Any]:
    """RLlib's config of a trainer on so many hosts."""
    workers = hosts * WORKERS_A_HOST
    return {
        "env_config": {"step_s": step_s},
        "num_workers": workers,
        "num_envs_per_worker": 4,
        "rollout_fragment_length": 50,
        "train_batch_size": workers * STEPS_A_WORKER,
        "sgd_minibatch_size": 200,
        "num_sgd_iter": 3,
        "timesteps_per_iteration": 0,
        "min_iter_time_s": 0,
        "simple_optimizer": True,
        "tf_session_args": ONE_THREAD,
        "local_tf_session_args": ONE_THREAD,
        "model": {"fcnet_hiddens": [64, 64], "fcnet_activation": "tanh"},
        "seed": 1,
    }
