"""Experiments by name; each is a module with one value, and a line here."""

from __future__ import annotations

from typing import Dict

from rl_app.experiments import cartpole, cartpole_aws, cartpole_dqn, cartpole_lstm, catch, courier, pendulum
from rl_app.experiments.experiment import Experiment

EXPERIMENTS: Dict[str, Experiment] = {
    "cartpole": cartpole.EXPERIMENT,
    "cartpole-aws": cartpole_aws.EXPERIMENT,
    "cartpole-dqn": cartpole_dqn.EXPERIMENT,
    "cartpole-lstm": cartpole_lstm.EXPERIMENT,
    "catch": catch.EXPERIMENT,
    "courier": courier.EXPERIMENT,
    "pendulum": pendulum.EXPERIMENT,
}
