"""What both are given: batches that grow with the workers, two of them a host."""

from __future__ import annotations

from typing import Any, Dict

WORKERS_A_HOST, STEPS_A_WORKER = 2, 200
ONE_THREAD = {"intra_op_parallelism_threads": 1, "inter_op_parallelism_threads": 1}
PPO = {"sgd_minibatch_size": 200, "num_sgd_iter": 3, "simple_optimizer": True}


def config(hosts: int, run: str, step_s: float, slower: float) -> Dict[str, Any]:
    """RLlib's config of a trainer on so many hosts; on the last of several a step takes `slower` times as long."""
    workers = hosts * WORKERS_A_HOST
    return {
        "env_config": {"step_s": step_s, "slow_host": f"algo-{hosts}", "slower": slower if hosts > 1 else 1},
        "num_workers": workers,
        "num_envs_per_worker": 4,
        "rollout_fragment_length": 50,
        "train_batch_size": workers * STEPS_A_WORKER,
        "timesteps_per_iteration": 0 if run == "PPO" else workers * STEPS_A_WORKER,
        "min_iter_time_s": 0,
        "tf_session_args": ONE_THREAD,
        "local_tf_session_args": ONE_THREAD,
        "model": {"fcnet_hiddens": [64, 64], "fcnet_activation": "tanh"},
        "seed": 1,
        **(PPO if run == "PPO" else {}),
    }
