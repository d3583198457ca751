"""A program for AWS's container of 2020: float64 observations, its packages and programs, a video of training."""

import shutil

import Cython  # noqa: F401
import GPUtil  # noqa: F401
import gym
import numpy as np
import PIL.Image  # noqa: F401
import pyglet  # noqa: F401
from ray.tune.registry import register_env
from sagemaker_rl.ray_launcher import Launcher

for program in ("ffmpeg", "jq", "rsync"):
    print(program, shutil.which(program) is not None, flush=True)


class Wide(gym.ObservationWrapper):
    """Gives float64 for a Box of float32, as environments of the time do."""

    def observation(self, observation):
        return np.asarray(observation, np.float64)


class MyLauncher(Launcher):
    def register_env_creator(self):
        register_env("CartPole-v1", lambda config: Wide(gym.make("CartPole-v1")))

    def get_experiment_config(self):
        import tf_slim  # noqa: F401  # after RLlib, which leaves a TensorFlow that is there already in its eager mode

        return {
            "training": {
                "env": "CartPole-v1",
                "run": "PPO",
                "stop": {"training_iteration": 2},
                "config": {
                    "lr": 0.0001,
                    "train_batch_size": 400,
                    "sgd_minibatch_size": 100,
                    "num_sgd_iter": 2,
                    "num_workers": 1,
                    "monitor": True,
                    "model": {"free_log_std": True},
                },
            }
        }


if __name__ == "__main__":
    MyLauncher.train_main()
