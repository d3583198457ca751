"""An experiment of callbacks, which need RLlib, and with settings that are no JSON."""

import numpy as np
from ray.rllib.agents.callbacks import DefaultCallbacks


class Angles(DefaultCallbacks):
    def on_episode_start(self, worker, base_env, policies, episode, **kwargs):
        episode.user_data["angles"] = []

    def on_episode_step(self, worker, base_env, episode, **kwargs):
        episode.user_data["angles"].append(abs(float(episode.last_observation_for()[2])))

    def on_episode_end(self, worker, base_env, policies, episode, **kwargs):
        episode.custom_metrics["angle"] = max(episode.user_data["angles"])


EXPERIMENTS = {
    "angles": {
        "run": "PPO",
        "env": "CartPole-v1",
        "stop": {"training_iteration": 2},
        "config": {
            "num_workers": 0,
            "simple_optimizer": True,
            "train_batch_size": 200,
            "sgd_minibatch_size": 50,
            "num_sgd_iter": 2,
            "model": {"fcnet_hiddens": [16]},
            "callbacks": Angles,
            "lr": np.float64(0.001),
            "evaluation_interval": 1,
            "evaluation_num_episodes": 2,
            "evaluation_config": {"explore": False},
        },
    }
}
