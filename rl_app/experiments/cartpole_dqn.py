"""Values in place of a policy: CartPole by DQN."""

from __future__ import annotations

from rl_app.experiments.cartpole import ONE_THREAD
from rl_app.experiments.experiment import Experiment

EXPERIMENT = Experiment(
    about="Values in place of a policy: CartPole by DQN.",
    time_seen="27 s (20 to 63), 3 of 3 seeds",
    trial={
        "run": "DQN",
        "env": "CartPole-v1",
        # What CartPole-v0 was solved at; DQN gets further, but not to 475 and not steadily.
        "stop": {"episode_reward_mean": 195, "timesteps_total": 300_000, "time_total_s": 600},
        "checkpoint_freq": 5,
        "keep_checkpoints_num": 3,
        "config": {
            "tf_session_args": ONE_THREAD,
            "local_tf_session_args": ONE_THREAD,
            "timesteps_per_iteration": 2000,
            "min_iter_time_s": 0,
            # Few large steps of learning, where each costs more in Python than in the network: 8 samples of the
            # replay buffer for each new one, as by default.
            "num_envs_per_worker": 16,
            "rollout_fragment_length": 2,
            "train_batch_size": 256,
            "lr": 2e-3,
            "model": {"fcnet_hiddens": [256]},
            "hiddens": [],
            "dueling": False,
        },
    },
)
