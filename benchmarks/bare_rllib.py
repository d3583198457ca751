"""An RLlib trainer as Ray's documentation has it, with a job's config and nothing of this project around it.

usage: bare_rllib.py STEPS [KEY=VALUE ...]      (benchmarks/launcher_overhead.py runs it)
"""

from __future__ import annotations

import sys
from typing import List

import ray
from ray.rllib.agents.registry import get_agent_class

from rl_app.job import hyperparameters
from rl_app.job.metrics import row
from rl_app.machine import detect
from rl_app.terminal.console import iteration_line


def main(most_steps: int, words: List[str]) -> None:
    """Iterates until there are so many steps; prints a line an iteration, by which it is timed."""
    machine = detect()
    trial = hyperparameters.parse(hyperparameters.assignments(words), machine).trial
    ray.init(num_cpus=machine.cpus + 1, include_webui=False, log_to_driver=False)
    trainer = get_agent_class(trial["run"])(config=trial["config"], env=trial["env"])
    steps = 0
    while steps < most_steps:
        result = trainer.train()
        steps = result["timesteps_total"]
        print(iteration_line(row(result), {}), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
