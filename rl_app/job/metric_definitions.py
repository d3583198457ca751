"""Where SageMaker finds a job's metrics in its log: regular expressions with one group each.

The first two are the SageMaker SDK's own for RLlib; the next are what an iteration's line holds besides, and the rest
is what the line about its learning does.
"""

from __future__ import annotations

import re
from typing import Dict, List, Sequence

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


MOST = 40
"""Of SageMaker's."""


def definitions(policies: Sequence[str] = ()) -> List[Dict[str, str]]:
    """As CreateTrainingJob takes them, with the reward of each policy of a job that has several, as far as they fit."""
    names = [f"{learning.OF_POLICY}{policy}" for policy in policies][: MOST - len(REGEXES)]
    own = {name: f"{learning.LINE} .* {re.escape(name)}: ({FLOAT})" for name in names}
    return [{"Name": name, "Regex": regex} for name, regex in {**REGEXES, **own}.items()]


def found(line: str) -> Dict[str, float]:
    """Return the metrics that SageMaker would find in a line of the log."""
    matches = {name: re.search(regex, line) for name, regex in REGEXES.items()}
    return {name: float(match.group(1)) for name, match in matches.items() if match}
