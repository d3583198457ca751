"""What the report of a job says besides numbers, as data that is known when the job starts."""

from __future__ import annotations

import platform
import socket
import time
from typing import Any, Dict, List, Mapping, Tuple

from rl_app import algorithms, plain
from rl_app.job.settings import Job
from rl_app.machine import Machine, memory
from rl_app.masking import masked
from rl_app.policy import export


def facts(job: Job, machine: Machine, name: str) -> Dict[str, Any]:
    """Say what the job is and where it runs, as what JSON can hold.

    Args:
        name: of the training job.
    """
    trial = job.trial
    return {
        "job": name,
        "experiment": job.settings.experiment,
        "algorithm": trial["run"],
        "env": trial["env"],
        "stop": plain.shown(trial["stop"]),
        "settings": differences(plain.shown(masked(trial["config"])), algorithms.default_config(trial["run"])),
        "seed": job.settings.seed,
        "versions": export.versions(),
        "machine": machine_facts(machine),
        "host": socket.gethostname(),
        "started": time.time(),
    }


def machine_facts(machine: Machine) -> Dict[str, Any]:
    """Say what the machine has."""
    return {
        "CPUs": machine.cpus,
        "GPUs": machine.gpus,
        **({"hosts": len(machine.hosts)} if machine.hosts else {}),
        "memory": f"{memory() / 1024**3:.1f} GiB",
        "system": platform.platform(),
    }


def differences(
    config: Mapping[str, Any], defaults: Mapping[str, Any], path: str = "config"
) -> List[Tuple[str, Any, Any]]:
    """List the settings in ``config`` that differ from ``defaults``, as (path, value, default), sorted by path."""
    differing: List[Tuple[str, Any, Any]] = []
    for key, value in sorted(config.items()):
        default = defaults.get(key)
        if isinstance(value, Mapping) and (isinstance(default, Mapping) or default is None):
            differing += differences(value, default or {}, f"{path}.{key}")
        elif value != default:
            differing.append((f"{path}.{key}", value, default))
    return differing
