"""What an experiment is: a trial in Tune's words, and what a person wants to know before running it."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any, Callable, Dict, Optional, Union

from rl_app.machine import Machine

Trial = Dict[str, Any]
MakeTrial = Callable[[Machine], Trial]


@dataclass(frozen=True)
class Experiment:
    """Holds an algorithm, an environment and what differs from the algorithm's defaults.

    Attributes:
        about: one sentence: what it shows.
        trial: ``run``, ``env``, ``stop``, ``config``, ``checkpoint_freq`` and ``keep_checkpoints_num``, as Tune
            calls them, or a function that makes them from the machine's CPUs and GPUs.
        time_seen: how long it took to its goal, as ``benchmarks/experiments.py`` measured it, if it did.
    """

    about: str
    trial: Union[Trial, MakeTrial]
    time_seen: Optional[str] = None

    def on(self, machine: Machine) -> Trial:
        """Return the trial as this machine would run it, a copy of its own."""
        return copy.deepcopy(self.trial(machine) if callable(self.trial) else self.trial)


Entry = Union[Experiment, Trial, MakeTrial]
"""What a registry may hold under a name."""


def as_experiment(entry: Entry) -> Experiment:
    """Take what a registry of a user's may hold: an experiment, or just its trial."""
    return entry if isinstance(entry, Experiment) else Experiment("", entry)
