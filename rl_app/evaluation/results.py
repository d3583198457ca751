"""What an evaluation leaves: episodes, statistics, differences, and the report."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any, Dict, Mapping, Sequence

from rl_app import files
from rl_app.evaluation.rollouts import Rollout
from rl_app.machine import detect
from rl_app.policy import export
from rl_app.reports import evaluation as evaluation_report
from rl_app.reports import statistics
from rl_app.reports.facts import machine_facts
from rl_app.storage import layout

EVALUATION = "evaluation.json"


# ---- what is left


def results(rollouts: Sequence[Rollout]) -> Dict[str, Any]:
    """Return each model's episodes and their statistics, and what each but the first is better by."""
    return {
        "models": [
            {
                "model": rollout.candidate.name,
                "played_by": rollout.engine,
                **statistics.summary(rollout.rewards),
                **of_policies(rollout),
                "episodes": [episode.data for episode in rollout.episodes],
                "videos": rollout.videos,
                "policy": {key: value for key, value in rollout.facts.items() if key != "observation_filter"},
            }
            for rollout in rollouts
        ],
        "differences": [
            {
                "model": rollout.candidate.name,
                "against": rollouts[0].candidate.name,
                **statistics.difference(rollouts[0].rewards, rollout.rewards),
            }
            for rollout in rollouts[1:]
        ],
    }


def of_policies(rollout: Rollout) -> Dict[str, Any]:
    """Return the statistics of each policy of a model that has several, in each episode of the mean of its agents."""
    found = {name: statistics.summary(rewards) for name, rewards in rollout.policies.items()}
    return {"policies": found} if found else {}


def surroundings() -> Dict[str, Any]:
    """With what, and where."""
    return {
        "versions": export.versions(),
        "machine": {"host": socket.gethostname(), **machine_facts(detect())},
    }


def leave(evaluation: Mapping[str, Any], directory: Path) -> None:
    """Write evaluation.json and report.html, each beside and then renamed."""
    page = evaluation_report.render(evaluation, directory)
    for name, text in ((EVALUATION, evaluation_report.dumped(evaluation)), (layout.REPORT, page)):
        files.write_text(directory / name, text)
