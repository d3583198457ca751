"""Experiments by name: an algorithm, an environment and what differs from the algorithm's defaults.

Each has a module of its own, with a dict in Tune's words (``run``, ``env``, ``stop``, ``config``,
``checkpoint_freq``, ``keep_checkpoints_num``) or a function that makes one from the machine's CPUs and GPUs.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Union

from rl_app.experiments import cartpole, cartpole_aws, cartpole_dqn, cartpole_lstm, catch, courier, pendulum
from rl_app.machine import Machine

Experiment = Union[Dict[str, Any], Callable[[Machine], Dict[str, Any]]]

EXPERIMENTS: Dict[str, Experiment] = {
    "cartpole": cartpole.EXPERIMENT,
    "cartpole-aws": cartpole_aws.experiment,
    "cartpole-dqn": cartpole_dqn.EXPERIMENT,
    "cartpole-lstm": cartpole_lstm.EXPERIMENT,
    "catch": catch.experiment,
    "courier": courier.EXPERIMENT,
    "pendulum": pendulum.EXPERIMENT,
}
