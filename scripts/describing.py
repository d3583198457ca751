"""`scripts/experiments`: the experiments, and one of them whole."""

from __future__ import annotations

import argparse
import copy
import difflib
import importlib
import json
import sys
from typing import Any, Dict, Iterator, List, Mapping, Sequence, Tuple

from rl_app import algorithms, hyperparameters
from rl_app.errors import UserError
from rl_app.experiments import EXPERIMENTS
from rl_app.machine import Machine, detect

EXAMPLES = """
examples:
  scripts/experiments                 all of them
  scripts/experiments cartpole        one whole, and what differs from the algorithm's defaults
  scripts/experiments cartpole --json

An experiment that depends on the machine is shown as this machine would run it.
Exit status: 0 done, 2 refused.
"""

COLUMNS = ("name", "environment", "algorithm", "goal", "time_seen", "about")
SEEN = "Time seen: "
TAKES = ("run", "env", "stop", "config", "checkpoint_freq", "keep_checkpoints_num")
WIDTH = 100  # characters after which a value takes a line for each of its parts


def main(arguments: Sequence[str]) -> int:
    """Prints the experiments, or one; returns the exit status."""
    options = parse(arguments)
    machine = detect()
    try:
        if options.name:
            whole = describe(options.name, machine)
            print(json.dumps(whole, indent=2) if options.json else "\n".join(lines(whole)))
        else:
            rows = [entry(name, machine) for name in EXPERIMENTS]
            print(json.dumps(rows, indent=2) if options.json else "\n".join(table(rows)))
    except UserError as error:
        print(error, file=sys.stderr)
        return error.errno
    return 0


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="scripts/experiments",
        description="List the experiments, or show one whole.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", nargs="?", metavar="NAME", help="default: list them all")
    parser.add_argument("--json", action="store_true", help="for programs")
    return parser.parse_args(list(arguments))


def entry(name: str, machine: Machine) -> Dict[str, Any]:
    """What the list says of an experiment; ``goal`` is its mean reward, None where it only ends."""
    trial = trial_of(name, machine)
    return {
        "name": name,
        "environment": trial["env"],
        "algorithm": trial["run"],
        "goal": trial.get("stop", {}).get("episode_reward_mean"),
        "stop": trial.get("stop", {}),
        "time_seen": seen(name),
        "about": about(name),
    }


def trial_of(name: str, machine: Machine) -> Dict[str, Any]:
    """The experiment in Tune's words, as this machine would run it."""
    experiment = EXPERIMENTS[name]
    return copy.deepcopy(experiment(machine) if callable(experiment) else experiment)


def about(name: str) -> str:
    """The first line that the experiment's own module says: what it is."""
    return _documentation(name)[0]


def seen(name: str) -> str:
    """How long it took to its goal, as benchmarks/experiments.py has measured it."""
    return next(line[len(SEEN) :] for line in _documentation(name) if line.startswith(SEEN))


def _documentation(name: str) -> List[str]:
    module = importlib.import_module(f"rl_app.experiments.{name.replace('-', '_')}")
    return (module.__doc__ or "").strip().splitlines()


def describe(name: str, machine: Machine) -> Dict[str, Any]:
    """An experiment whole, and ``differs``: path, value and the algorithm's default, in the defaults' order.

    Raises:
        UserError: no experiment of this name, with the nearest.
    """
    if name not in EXPERIMENTS:
        near = difflib.get_close_matches(name, EXPERIMENTS, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise UserError(f"{name}: no such experiment; {hint}there are {', '.join(EXPERIMENTS)}")
    trial = {**hyperparameters.parse({"experiment": name}, machine).trial}
    defaults = algorithms.default_config(trial["run"])
    differs = [
        {"path": path, "value": value, "default": default}
        for path, value, default in differences(trial["config"], defaults, "config")
    ]
    return {**entry(name, machine), **{key: trial[key] for key in TAKES}, "differs": differs}


def differences(config: Mapping[str, Any], defaults: Mapping[str, Any], path: str) -> Iterator[Tuple[str, Any, Any]]:
    """(path, value, default) of each setting that is not the default; a default that is not there is None."""
    for key in sorted(config):
        value, default = config[key], defaults.get(key)
        if isinstance(value, Mapping) and isinstance(default, Mapping):
            yield from differences(value, default, f"{path}.{key}")
        elif value != default or isinstance(value, bool) != isinstance(default, bool):
            yield f"{path}.{key}", value, default


def table(rows: Sequence[Mapping[str, Any]]) -> List[str]:
    """The list, in aligned columns."""
    shown = [{key: key.replace("_", " ") for key in COLUMNS}]
    for row in rows:
        ends = " or ".join(f"{key} {value:,}" for key, value in row["stop"].items())
        goal = ends if row["goal"] is None else f"reward {row['goal']:g}"
        shown.append({**{key: str(row[key]) for key in COLUMNS}, "goal": goal})
    widths = {key: max(len(row[key]) for row in shown) for key in COLUMNS}
    return ["  ".join(row[key].ljust(widths[key]) for key in COLUMNS).rstrip() for row in shown]


def lines(whole: Mapping[str, Any]) -> Iterator[str]:
    """An experiment, as a person reads it."""
    yield f"{whole['name']}: {whole['about']}"
    yield ""
    for key in TAKES:
        yield from value_lines(key, whole[key], "")
    yield ""
    yield f"what differs from {whole['algorithm']}'s defaults:"
    paths = [found["path"] for found in whole["differs"]]
    values = [json.dumps(found["value"]) for found in whole["differs"]]
    for found, value in zip(whole["differs"], values):
        default = json.dumps(found["default"])
        columns = (found["path"].ljust(max(map(len, paths))), value.ljust(max(map(len, values))))
        yield f"  {'  '.join(columns)}  default {default}"


def value_lines(key: str, value: Any, indent: str) -> Iterator[str]:
    """``key: value`` on one line where it fits and is no object of several parts."""
    if isinstance(value, Mapping) and (len(value) > 3 or len(json.dumps(value)) > WIDTH):
        yield f"{indent}{key}:"
        for inner in value:
            yield from value_lines(inner, value[inner], indent + "  ")
    else:
        yield f"{indent}{key}: {json.dumps(value)}"
