"""An experiment of your own: what to train, and what differs from the algorithm's defaults."""

EXPERIMENTS = {
    "corridor": {
        "run": "PPO",
        "env": "corridor",
        "stop": {"episode_reward_mean": -9, "timesteps_total": 100_000, "time_total_s": 120},
        "config": {
            "env_config": {"length": 8},
            "num_workers": 0,
            "simple_optimizer": True,
            "train_batch_size": 1000,
            "lr": 0.001,
            "model": {"fcnet_hiddens": [32]},
            "horizon": 100,
        },
    }
}
