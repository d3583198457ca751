"""CartPole by PPO, the default."""

from __future__ import annotations

from rl_app.experiments.experiment import Experiment

# The networks are so small that a second thread costs more than it brings.
ONE_THREAD = {"intra_op_parallelism_threads": 1, "inter_op_parallelism_threads": 1}
# Sampling in the trainer's own process, one loss graph instead of three: starting is what takes long.
IN_ONE_PROCESS = {
    "num_workers": 0,
    "simple_optimizer": True,
    "tf_session_args": ONE_THREAD,
    "local_tf_session_args": ONE_THREAD,
}

EXPERIMENT = Experiment(
    about="CartPole by PPO, the default.",
    time_seen="4 s (3 to 4), 5 of 5 seeds",
    trial={
        "run": "PPO",
        "env": "CartPole-v1",
        "stop": {"episode_reward_mean": 475, "timesteps_total": 500_000, "time_total_s": 600},
        "checkpoint_freq": 10,
        "keep_checkpoints_num": 3,
        "config": {
            **IN_ONE_PROCESS,
            # Iterations of as many steps, not of a second: the same seed learns the same on a machine that is busy.
            "timesteps_per_iteration": 8192,
            "num_envs_per_worker": 32,
            "rollout_fragment_length": 32,
            "train_batch_size": 1024,
            "sgd_minibatch_size": 128,
            "num_sgd_iter": 4,
            "lr": 1.5e-3,
            "lr_schedule": [[0, 1.5e-3], [100_000, 1e-4]],
            "gamma": 0.98,
            "lambda": 0.8,
            "clip_param": 0.2,
            "vf_clip_param": 1e4,
            "kl_coeff": 0.0,
            "grad_clip": 0.5,
            "model": {"fcnet_hiddens": [64, 64], "fcnet_activation": "tanh"},
            "observation_filter": "NoFilter",
        },
    },
)
