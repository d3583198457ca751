"""The settings of AWS's CartPole example for Ray 0.8.5, to compare with.

Left out are its ``free_log_std``, which Ray 0.8.5 ignores, and its ``monitor``, which records inside the
sampling.
"""

from __future__ import annotations

from typing import Any, Dict

from rl_app.experiments.experiment import Experiment
from rl_app.machine import Machine


def trial(machine: Machine) -> Dict[str, Any]:
    """AWS's settings, with its one CPU for the trainer and the others for the workers."""
    return {
        "run": "PPO",
        "env": "CartPole-v1",
        "stop": {"training_iteration": 40},
        "checkpoint_freq": 10,
        # AWS keeps every checkpoint, which are these four.
        "keep_checkpoints_num": 4,
        "config": {
            "gamma": 0.99,
            "kl_coeff": 1.0,
            "num_sgd_iter": 20,
            "lr": 0.0001,
            "sgd_minibatch_size": 1000,
            "train_batch_size": 25000,
            "num_workers": machine.cpus - 1,
            "num_gpus": machine.gpus,
            "batch_mode": "truncate_episodes",
            "use_pytorch": False,
        },
    }


EXPERIMENT = Experiment(
    "The settings of AWS's CartPole example for Ray 0.8.5, to compare with.", trial, time_seen="2 min, 1 seed"
)
