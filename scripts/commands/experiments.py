"""`scripts/experiments`: the experiments, and one of them whole."""

from __future__ import annotations

import argparse
import difflib
import json
from typing import Any, Dict, Iterator, Mapping, Sequence, Tuple

from rl_app import algorithms, plain
from rl_app.errors import UserError
from rl_app.experiments import EXPERIMENTS
from rl_app.job import hyperparameters
from rl_app.machine import Machine, detect
from scripts.lib import cli, tables

EXAMPLES = """
examples:
  scripts/experiments                 all of them
  scripts/experiments cartpole        one whole, and what differs from the algorithm's defaults
  scripts/experiments cartpole --json

An experiment that depends on the machine is shown as this machine would run it.
Exit status: 0 done, 2 refused.
"""

COLUMNS = ("name", "environment", "algorithm", "goal", "time_seen", "about")
NOT_MEASURED = "not measured"
TAKES = ("run", "env", "stop", "config", "checkpoint_freq", "keep_checkpoints_num")
WIDTH = 100  # characters after which a value takes a line for each of its parts


@cli.command
def main(arguments: Sequence[str]) -> int:
    """Print the experiments, or one; return the exit status."""
    options = parse(arguments)
    machine = detect()
    if options.name:
        whole = describe(options.name, machine)
        print(json.dumps(whole, indent=2) if options.json else "\n".join(lines(whole)))
    else:
        rows = [entry(name, machine) for name in EXPERIMENTS]
        print(json.dumps(rows, indent=2) if options.json else "\n".join(table(rows)))
    return 0


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = cli.parser("experiments", "List the experiments, or show one whole.", EXAMPLES)
    parser.add_argument("name", nargs="?", metavar="NAME", help="default: list them all")
    parser.add_argument("--json", action="store_true", help="for programs")
    return parser.parse_args(list(arguments))


def entry(name: str, machine: Machine) -> Dict[str, Any]:
    """Say what the list has of an experiment; ``goal`` is its mean reward, None where it only ends."""
    experiment = EXPERIMENTS[name]
    trial: Dict[str, Any] = plain.shown(experiment.on(machine))
    return {
        "name": name,
        "environment": trial["env"],
        "algorithm": trial["run"],
        "goal": trial.get("stop", {}).get("episode_reward_mean"),
        "stop": trial.get("stop", {}),
        "time_seen": experiment.time_seen or NOT_MEASURED,
        "about": experiment.about,
    }


def describe(name: str, machine: Machine) -> Dict[str, Any]:
    """Describe an experiment whole, and ``differs``: path, value and the algorithm's default, in the defaults' order.

    Raises:
        UserError: no experiment of this name, with the nearest.
    """
    if name not in EXPERIMENTS:
        near = difflib.get_close_matches(name, EXPERIMENTS, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise UserError(f"{name}: no such experiment; {hint}there are {', '.join(EXPERIMENTS)}")
    trial = plain.shown(hyperparameters.parse({"experiment": name}, machine).trial)
    defaults = algorithms.default_config(trial["run"])
    differs = [
        {"path": path, "value": value, "default": default}
        for path, value, default in differences(trial["config"], defaults, "config")
    ]
    return {**entry(name, machine), **{key: trial[key] for key in TAKES}, "differs": differs}


def differences(config: Mapping[str, Any], defaults: Mapping[str, Any], path: str) -> Iterator[Tuple[str, Any, Any]]:
    """Yield (path, value, default) of each setting that is not the default; a default that is not there is None."""
    for key in sorted(config):
        value, default = config[key], defaults.get(key)
        if isinstance(value, Mapping) and isinstance(default, Mapping):
            yield from differences(value, default, f"{path}.{key}")
        elif value != default or isinstance(value, bool) != isinstance(default, bool):
            yield f"{path}.{key}", value, default


def table(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Write the list in aligned columns."""
    cells = [[key.replace("_", " ") for key in COLUMNS]]
    for row in rows:
        ends = " or ".join(f"{key} {value:,}" for key, value in row["stop"].items())
        goal = ends if row["goal"] is None else f"reward {row['goal']:g}"
        cells.append([goal if key == "goal" else str(row[key]) for key in COLUMNS])
    return tables.aligned(cells)


def lines(whole: Mapping[str, Any]) -> Iterator[str]:
    """Write an experiment as a person reads it."""
    yield f"{whole['name']}: {whole['about']}"
    yield ""
    for key in TAKES:
        yield from value_lines(key, whole[key], "")
    yield ""
    yield f"what differs from {whole['algorithm']}'s defaults:"
    differs = [
        (found["path"], json.dumps(found["value"]), f"default {json.dumps(found['default'])}")
        for found in whole["differs"]
    ]
    yield from (f"  {line}" for line in tables.aligned(differs))


def value_lines(key: str, value: Any, indent: str) -> Iterator[str]:
    """Write ``key: value`` on one line where it fits and is no object of several parts."""
    if isinstance(value, Mapping) and (len(value) > 3 or len(json.dumps(value)) > WIDTH):
        yield f"{indent}{key}:"
        for inner in value:
            yield from value_lines(inner, value[inner], indent + "  ")
    else:
        yield f"{indent}{key}: {json.dumps(value)}"
