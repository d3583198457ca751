"""A memory: CartPole without its velocities, by PPO with an LSTM."""

from __future__ import annotations

from rl_app.experiments.cartpole import IN_ONE_PROCESS
from rl_app.experiments.experiment import Experiment

EXPERIMENT = Experiment(
    about="A memory: CartPole without its velocities, by PPO with an LSTM.",
    time_seen="24 s (18 to 27), 3 of 3 seeds",
    trial={
        "run": "PPO",
        "env": "StatelessCartPole-v1",
        "stop": {"episode_reward_mean": 195, "timesteps_total": 500_000, "time_total_s": 600},
        "checkpoint_freq": 10,
        "keep_checkpoints_num": 3,
        "config": {
            **IN_ONE_PROCESS,
            "num_envs_per_worker": 32,
            "rollout_fragment_length": 64,
            "train_batch_size": 2048,
            "sgd_minibatch_size": 256,
            "num_sgd_iter": 6,
            "lr": 2e-3,
            "gamma": 0.98,
            "lambda": 0.9,
            "kl_coeff": 0.0,
            "vf_clip_param": 1e4,
            # Policy and value share the LSTM: the errors of values up to 500 would drown what the policy learns.
            "vf_loss_coeff": 1e-3,
            "grad_clip": 0.5,
            # The pole's angle is a hundredth of the cart's position, and its changes less.
            "observation_filter": "MeanStdFilter",
            "model": {"use_lstm": True, "lstm_cell_size": 32, "max_seq_len": 32, "fcnet_hiddens": [32]},
        },
    },
)
