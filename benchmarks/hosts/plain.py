"""Stock RLlib over hosts that `ray start` has joined. usage: plain.py HOSTS ITERATIONS RUN CONFIG   (run.py runs it)"""

from __future__ import annotations

import json
import sys
from typing import Any, Dict

from joining import wait_for
from ray.rllib.agents.registry import get_agent_class
from ray.tune.registry import register_env
from slow_envs import Waiting


def main(hosts: int, iterations: int, run: str, config: Dict[str, Any]) -> None:
    """Waits for the hosts, trains, and prints a line an iteration."""
    wait_for(hosts)
    register_env("Waiting", lambda env_config: Waiting(env_config))
    trainer = get_agent_class(run)(config=config, env="Waiting")
    for iteration in range(1, iterations + 1):
        steps = trainer.train()["timesteps_total"]
        print(f"iteration {iteration:>4}  {run} {steps} steps  ", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], json.loads(sys.argv[4]))
