"""PPO with the network that knows the mask."""

EXPERIMENTS = {
    "masking": {
        "run": "PPO",
        "env": "pegs",
        "stop": {"episode_reward_mean": 1.6, "timesteps_total": 100_000, "time_total_s": 120},
        "config": {
            "model": {"custom_model": "masked", "fcnet_hiddens": [32], "vf_share_layers": True},
            "num_workers": 0,
            "simple_optimizer": True,
            "train_batch_size": 1000,
            "vf_share_layers": True,
            "lr": 0.001,
        },
    }
}
