"""What is measured beside the reward: RLlib averages it over episodes, and the report draws its curve."""

from ray.rllib.agents.callbacks import DefaultCallbacks


class Angles(DefaultCallbacks):
    """How far the pole was tilted at the end of an episode."""

    def on_episode_end(self, worker, base_env, policies, episode, **kwargs):
        episode.custom_metrics["tilt"] = abs(float(episode.last_observation_for()[2]))


CALLBACKS = Angles
