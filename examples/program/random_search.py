"""A program of your own in the image: random search on CartPole, no RLlib.

`scripts/train --program examples/program/random_search.py tries=200`: hyperparameters arrive as arguments, files
go where SageMaker's variables say.
"""

import argparse
import json
import os

import gym
import numpy as np


def episode(env, weights):
    observation, total, done = env.reset(), 0.0, False
    while not done:
        observation, reward, done, _ = env.step(int(observation @ weights > 0))
        total += reward
    return total


parser = argparse.ArgumentParser()
parser.add_argument("--tries", type=int, default=100)
parser.add_argument("--seed", type=int, default=0)
arguments, _ = parser.parse_known_args()

env = gym.make("CartPole-v1")
env.seed(arguments.seed)
random = np.random.default_rng(arguments.seed)
best, best_weights = -1.0, np.zeros(4)
for attempt in range(arguments.tries):
    weights = random.normal(size=4)
    reward = episode(env, weights)
    if reward > best:
        best, best_weights = reward, weights
        print(f"try {attempt}: episode_reward_max: {best}", flush=True)

with open(os.path.join(os.environ["SM_MODEL_DIR"], "weights.json"), "w") as file:
    json.dump({"weights": best_weights.tolist(), "reward": best}, file)
