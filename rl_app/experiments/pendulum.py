"""A continuous action: Pendulum by SAC."""

from __future__ import annotations

from rl_app.experiments.cartpole import ONE_THREAD
from rl_app.experiments.experiment import Experiment

EXPERIMENT = Experiment(
    about="A continuous action: Pendulum by SAC.",
    time_seen="40 s (38 to 42), 3 of 3 seeds",
    trial={
        "run": "SAC",
        "env": "Pendulum-v1",
        # At random it is about -1200; whoever swings up at once and stays gets about -150.
        "stop": {"episode_reward_mean": -250, "timesteps_total": 30_000, "time_total_s": 900},
        "checkpoint_freq": 10,
        "keep_checkpoints_num": 3,
        "config": {
            "tf_session_args": ONE_THREAD,
            "local_tf_session_args": ONE_THREAD,
            "timesteps_per_iteration": 400,
            "min_iter_time_s": 0,
            # A hundred episodes are 20,000 steps, in most of which it had not learned yet.
            "metrics_smoothing_episodes": 20,
            # An episode ends because time is up, not because of what the pendulum does.
            "no_done_at_end": True,
            "learning_starts": 400,
            "train_batch_size": 128,
            "buffer_size": 50_000,
            "Q_model": {"fcnet_hiddens": [64, 64]},
            "policy_model": {"fcnet_hiddens": [64, 64]},
            "optimization": {
                "actor_learning_rate": 1e-3,
                "critic_learning_rate": 1e-3,
                "entropy_learning_rate": 1e-3,
            },
        },
    },
)
