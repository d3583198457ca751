"""Stock RLlib over hosts that `ray start` has joined. usage: plain.py HOSTS STEP_S ITERATIONS   (run.py runs it)"""

from __future__ import annotations

import sys
import time
from contextlib import suppress

import ray
import redis
from ray.rllib.agents.ppo import PPOTrainer
from ray.tune.registry import register_env
from settings import config
from slow_envs import Waiting


def main(hosts: int, step_s: float, iterations: int) -> None:
    """Waits for the hosts, trains, and prints a line an iteration."""
    while not joined(hosts):
        time.sleep(0.1)
    register_env("Waiting", lambda env_config: Waiting(env_config))
    trainer = PPOTrainer(config=config(hosts, step_s), env="Waiting")
    for iteration in range(1, iterations + 1):
        steps = trainer.train()["timesteps_total"]
        print(f"iteration {iteration:>4}  PPO  {steps} steps  ", flush=True)


def joined(hosts: int) -> bool:
    """Whether the head, and by now all hosts, are there."""
    with suppress(ConnectionError, redis.exceptions.ConnectionError):
        if not ray.is_initialized():
            ray.init(address="auto", redis_password="plain", log_to_driver=False)
        return sum(node["Alive"] for node in ray.nodes()) >= hosts
    return False


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]))
