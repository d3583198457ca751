"""PPO of the newest RLlib on CartPole-v1. usage: rllib.py SEED STEPS      (benchmarks/peers/run.py runs it)"""

from __future__ import annotations

import logging
import sys

import ray
from ours import BATCH, ENVS, EPOCHS, FRAGMENT, GAMMA, HIDDEN, LAMBDA, LEARNING_RATE, MINIBATCH, line
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.core.rl_module.default_model_config import DefaultModelConfig


def main(seed: int, steps: int) -> None:
    """Trains for so many steps, and prints a line each iteration."""
    ray.init(num_cpus=2, include_dashboard=False, logging_level=logging.ERROR)
    network = DefaultModelConfig(fcnet_hiddens=HIDDEN, fcnet_activation="tanh", vf_share_layers=False)
    config = (
        PPOConfig()
        .environment("CartPole-v1")
        .env_runners(num_env_runners=0, num_envs_per_env_runner=ENVS, rollout_fragment_length=FRAGMENT)
        .training(
            train_batch_size_per_learner=BATCH,
            minibatch_size=MINIBATCH,
            num_epochs=EPOCHS,
            lr=LEARNING_RATE,
            gamma=GAMMA,
            lambda_=LAMBDA,
            clip_param=0.2,
            vf_clip_param=1e4,
            use_kl_loss=False,
            grad_clip=0.5,
        )
        .rl_module(model_config=network)
        .debugging(seed=seed)
    )
    algorithm = config.build_algo()
    taken, iteration = 0, 0
    while taken < steps:
        result = algorithm.train()
        iteration, taken = iteration + 1, int(result["num_env_steps_sampled_lifetime"])
        print(line(iteration, taken), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
