"""Where workers have room: on each host for as many as its CPUs and GPUs are enough, no worker on two hosts."""

from __future__ import annotations

import sys
from typing import Any, Dict, Mapping

from rl_app import algorithms
from rl_app.machine import Machine

NO_LIMIT = sys.maxsize


def of_cpus(machine: Machine, each: float) -> int:
    """Return how many workers have room that take so many CPUs each."""
    return sum(int(host.cpus / each) for host in machine.parts) if each else NO_LIMIT


def of_gpus(machine: Machine, each: float, trainer: float) -> int:
    """Return how many workers have room that take so many GPUs, or a part of one, each, beside the trainer's."""
    if not each:
        return NO_LIMIT
    taken = [trainer, *(0 for _ in machine.parts[1:])]
    return sum(_on_one(host.gpus, each, gone) for host, gone in zip(machine.parts, taken))


def _on_one(gpus: int, each: float, taken: float) -> int:
    whole = gpus - int(taken)
    return int(min(whole * int(1 / each) if each < 1 else whole / each, (gpus - taken) / each + 1e-9))


def spread(trial: Mapping[str, Any], machine: Machine) -> Dict[str, Any]:
    """Return the trial with workers wherever the hosts of a cluster have room for one.

    An experiment of one machine mostly has none at all. One that has some keeps them.
    """
    config = algorithms.merged(algorithms.default_config(trial["run"]), trial["config"])
    if not machine.hosts or trial["config"].get("num_workers"):
        return dict(trial)
    room = room_for(config, machine)
    return {**trial, "config": {**trial["config"], "num_workers": max(room, 1)}}


def room_for(config: Mapping[str, Any], machine: Machine) -> int:
    """Return how many workers have room beside those that evaluate.

    Args:
        config: the trial's, with the algorithm's defaults.
    """
    evaluating = config["evaluation_num_workers"] if config["evaluation_interval"] else 0
    cpus = of_cpus(machine, config["num_cpus_per_worker"])
    gpus = of_gpus(machine, config["num_gpus_per_worker"], config["num_gpus"])
    return int(min(cpus, gpus, machine.cpus)) - int(evaluating)


def said(machine: Machine) -> Dict[str, Any]:
    """Return what the messages of rules quote of the machine."""
    return {
        "machine.cpus": machine.cpus,
        "machine.has_cpus": machine.has("CPUs"),
        "machine.whose_cpus": machine.whose("CPUs"),
        "machine.whose_gpus": machine.whose("GPUs"),
        "machine.trainers_gpus": machine.parts[0].gpus,
        "machine.trainers_host": machine.parts[0].name or "this machine",
        "machine.hosts": len(machine.parts),
    }
