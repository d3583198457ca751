"""Where SageMaker finds a job's metrics in its log: regular expressions with one group each.

The first two are the SageMaker SDK's own for RLlib; the next are what an iteration's line holds besides, and the rest
is what the line about its learning does.
"""

from __future__ import annotations

import re
from typing import Dict, List

from rl_app.job import learning

FLOAT = r"[-+]?[0-9]*[.]?[0-9]+([eE][-+]?[0-9]+)?"
"""The SDK's; the outer group of a definition comes first, and is the one that SageMaker reads."""

REGEXES: Dict[str, str] = {
    "episode_reward_mean": f"episode_reward_mean: ({FLOAT})",
    "episode_reward_max": f"episode_reward_max: ({FLOAT})",
    "episode_reward_min": "iteration .* min: ([-+]?[0-9.]+)",
    "training_iteration": "iteration +([0-9]+) ",
    "episodes_total": "iteration .* ([0-9]+) episodes",
    "timesteps_total": "iteration .* ([0-9]+) steps ",
    "steps_per_s": "iteration .* ([0-9]+) steps/s",
    "time_total_s": "iteration .* steps/s +([0-9.]+) s",
    **{name: f"{learning.LINE} .* {name}: ({FLOAT})" for name in learning.names()},
}


def definitions() -> List[Dict[str, str]]:
    """As CreateTrainingJob takes them."""
    return [{"Name": name, "Regex": regex} for name, regex in REGEXES.items()]


def found(line: str) -> Dict[str, float]:
    """Return the metrics that SageMaker would find in a line of the log."""
    matches = {name: re.search(regex, line) for name, regex in REGEXES.items()}
    return {name: float(match.group(1)) for name, match in matches.items() if match}
