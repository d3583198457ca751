"""A Dict of observations: the courier of ``rl_app/envs/courier.py`` by PPO."""

from __future__ import annotations

from rl_app.experiments.cartpole import IN_ONE_PROCESS
from rl_app.experiments.experiment import Experiment

EXPERIMENT = Experiment(
    about="A Dict of observations: the courier of ``rl_app/envs/courier.py`` by PPO.",
    time_seen="7 s (6 to 9), 5 of 5 seeds",
    trial={
        "run": "PPO",
        "env": "Courier-v0",
        # A courier who knows the city by heart delivers 15.2 parcels a shift, one who wanders about -0.5.
        "stop": {"episode_reward_mean": 13, "timesteps_total": 1_000_000, "time_total_s": 600},
        "checkpoint_freq": 5,
        "keep_checkpoints_num": 3,
        "config": {
            **IN_ONE_PROCESS,
            "num_envs_per_worker": 64,
            "rollout_fragment_length": 64,
            "train_batch_size": 4096,
            "sgd_minibatch_size": 512,
            "num_sgd_iter": 6,
            "lr": 1e-3,
            "lr_schedule": [[0, 1e-3], [600_000, 2e-4]],
            "gamma": 0.97,
            "lambda": 0.95,
            # With less it settles for some deliveries and a flat battery, and seldom finds the charger.
            "entropy_coeff": 0.02,
            "entropy_coeff_schedule": [[0, 0.02], [600_000, 0.0]],
            "kl_coeff": 0.0,
            "grad_clip": 0.5,
            "model": {"fcnet_hiddens": [128, 128], "fcnet_activation": "relu"},
        },
    },
)
