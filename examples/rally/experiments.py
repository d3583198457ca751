"""Self-play: one policy at both ends of the table, or one at either."""

from __future__ import annotations

from typing import Any, Dict

ONE_THREAD = {"intra_op_parallelism_threads": 1, "inter_op_parallelism_threads": 1}


def trial(multiagent: Dict[str, Any]) -> Dict[str, Any]:
    """Return a trial of PPO on the table with these policies."""
    return {
        "run": "PPO",
        "env": "Rally-v0",
        "stop": {"episode_reward_mean": 15, "timesteps_total": 250_000},
        "config": {
            "num_workers": 0,
            "num_envs_per_worker": 16,
            "rollout_fragment_length": 64,
            "train_batch_size": 1024,
            "sgd_minibatch_size": 256,
            "num_sgd_iter": 6,
            "lr": 1e-3,
            "gamma": 0.97,
            "model": {"fcnet_hiddens": [64, 64]},
            "tf_session_args": ONE_THREAD,
            "local_tf_session_args": ONE_THREAD,
            "multiagent": multiagent,
        },
    }


EXPERIMENTS = {
    "rally": trial({"policies": {"player": {}}}),
    "rally-two": trial({"policies": {"near": {}, "far": {}}}),
}
