"""What a trial learns from besides its own episodes, and where those are written to."""

from __future__ import annotations

import os
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Dict, Iterable, List, Mapping, Optional

from rl_app.errors import UserError
from rl_app.job import agents
from rl_app.job.settings import PREFIX, Job
from rl_app.job.values import joined, shown

SAMPLER = "sampler"
"""RLlib's word for the episodes that the trial plays itself."""
EXPERIENCES = "experiences"
"""Where a job's own episodes are written to, below its output, with ``config.output=true``."""
FILES = "*.json"
"""What RLlib reads of a folder."""

Listing = Optional[Iterable[str]]
"""The names at the top of a channel; None where they cannot be known."""


def check(config: Mapping[str, Any], channels: Mapping[str, Listing]) -> None:
    """Refuse what a trial cannot read or write its episodes by.

    Raises:
        UserError: ``config.input`` names no channel, or one without files of RLlib's; its shares are no shares; or
            ``config.output`` is no place.
    """
    given, output = config.get("input", SAMPLER), config.get("output")
    if output is not None and not isinstance(output, (bool, str)):
        raise _error("output", output, f"expected true, which is output/data/{EXPERIENCES}, or a directory")
    if isinstance(given, Mapping):
        _check_shares(given)
    for name in sources(given):
        if _is_path(name):
            continue
        if name not in channels:
            known = f"it has {joined(channels)}" if channels else "it has none"
            raise _error("input", given, f"no channel {name} in this job: {known}; --channel {name}=… gives one")
        listed = channels[name]
        if listed is not None and not any(fnmatch(file, FILES) for file in listed):
            raise _error("input", given, f"no {FILES} in channel {name}: RLlib reads episodes from such files")


def sources(given: Any) -> List[str]:
    """Return what ``config.input`` names besides the trial's own episodes."""
    several = [given] if isinstance(given, str) else [*given]
    return [each for each in several if each != SAMPLER]


def placed(job: Job, channels: Mapping[str, Path], output: Path) -> Job:
    """Return the job with the folders of its channels where ``config.input`` names them, as RLlib wants to be told.

    Evaluations during training play episodes, and leave none: RLlib would have them read and write with the training.
    The policy's worth is estimated from the files where that is asked for: RLlib would by default, and end where the
    files do not say how probable each action was.

    Args:
        output: the directory of the job's output.

    Raises:
        UserError: as :func:`check`.
    """
    config: Dict[str, Any] = job.trial["config"]
    check(config, {name: os.listdir(folder) if folder.is_dir() else () for name, folder in channels.items()})
    _check_probabilities(config, channels)
    if not sources(config.get("input", SAMPLER)) and config.get("output") is None:
        return job
    changed = {
        "input": _input(config.get("input", SAMPLER), channels),
        "output": _output(config.get("output"), output),
        "input_evaluation": config.get("input_evaluation", []),
        "evaluation_config": {"input": SAMPLER, "output": None, **config.get("evaluation_config", {})},
    }
    return replace(job, trial={**job.trial, "config": {**config, **changed}})


def _input(given: Any, channels: Mapping[str, Path]) -> Any:
    folders = {name: str(folder) for name, folder in channels.items()}
    if isinstance(given, str):
        return folders.get(given, given)
    if isinstance(given, Mapping):
        return {folders.get(name, name): share for name, share in given.items()}
    # of a list RLlib takes each for a file
    return [
        file
        for name in given
        for file in (sorted(map(str, channels[name].glob(FILES))) if name in channels else [name])
    ]


def _output(given: Any, output: Path) -> Optional[str]:
    return str(output / EXPERIENCES) if given is True else given or None


def _is_path(name: str) -> bool:
    return "/" in name or "*" in name


def _check_shares(given: Mapping[str, Any]) -> None:
    shares = [*given.values()]
    numbers = all(isinstance(share, (int, float)) and not isinstance(share, bool) and share >= 0 for share in shares)
    if not numbers or sum(shares) != 1:
        raise _error("input", given, "the shares must be numbers that sum to 1")


def _check_probabilities(config: Mapping[str, Any], channels: Mapping[str, Path]) -> None:
    """Refuse estimates that RLlib cannot make: of several policies, or of files that do not say enough for them."""
    wanted = {"is", "wis"} & {*config.get("input_evaluation", [])}
    if wanted and agents.policies(config):
        several = "RLlib estimates what one policy is worth, and there are several; [] makes no estimates"
        raise _error("input_evaluation", config["input_evaluation"], several)
    for name in sources(config.get("input", SAMPLER)) if wanted else ():
        for file in sorted(channels[name].glob(FILES))[:1] if name in channels else ():
            with file.open(encoding="utf-8", errors="replace") as lines:
                first = lines.readline()
            if '"action_prob"' not in first:
                lacking = f"{name}/{file.name} has no action_prob, how probable each action was; [] makes no estimates"
                raise _error("input_evaluation", config["input_evaluation"], lacking)


def _error(name: str, value: Any, allowed: str) -> UserError:
    return UserError(f"{PREFIX}config.{name} = {shown(value)}: {allowed}")
