"""Pixels: the game of ``rl_app/envs/catch.py`` by PPO with convolutions, whose learning a GPU makes faster."""

from __future__ import annotations

from typing import Any, Dict

from rl_app.experiments.experiment import Experiment
from rl_app.machine import Machine


def trial(machine: Machine) -> Dict[str, Any]:
    """Return a GPU learns, where there is one, and all CPUs play for it; without one, the trainer plays itself."""
    gpu = machine.gpus > 0
    return {
        "run": "PPO",
        "env": "Catch-v0",
        # Of five balls; at random about -2.9.
        "stop": {"episode_reward_mean": 4, "timesteps_total": 300_000, "time_total_s": 900},
        "checkpoint_freq": 5,
        "keep_checkpoints_num": 3,
        "config": {
            "num_gpus": int(gpu),
            "num_workers": machine.cpus - 1 if gpu else 0,
            # The optimizer for GPUs keeps the batch on the GPU for all its epochs, and takes longer to build.
            "simple_optimizer": not gpu,
            "num_envs_per_worker": 16,
            "rollout_fragment_length": 64,
            "train_batch_size": 1024,
            "sgd_minibatch_size": 256,
            "num_sgd_iter": 4,
            "lr": 1e-3,
            "gamma": 0.97,
            "lambda": 0.9,
            "entropy_coeff": 0.01,
            "kl_coeff": 0.0,
            "grad_clip": 0.5,
            "vf_share_layers": True,
        },
    }


EXPERIMENT = Experiment(
    "Pixels: the game of ``rl_app/envs/catch.py`` by PPO with convolutions, whose learning a GPU makes faster.",
    trial,
    time_seen="43 s (29 to 130), 3 of 3 seeds",
)
