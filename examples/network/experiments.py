"""CartPole with the network of models.py."""

EXPERIMENTS = {
    "network": {
        "run": "PPO",
        "env": "CartPole-v1",
        "stop": {"episode_reward_mean": 150, "timesteps_total": 100_000, "time_total_s": 120},
        "config": {
            "model": {"custom_model": "residual", "custom_options": {"width": 32, "blocks": 2}},
            "num_workers": 0,
            "num_envs_per_worker": 8,
            "simple_optimizer": True,
            "train_batch_size": 2000,
            "vf_share_layers": True,
            "vf_loss_coeff": 0.01,
            "lr": 0.001,
        },
    }
}
