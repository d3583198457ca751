"""A job's hyperparameters: strings in, a checked description of one trial out.

``rl.training.<path>`` walks into the experiment (``rl.training.config.lr``); the settings of this project are
bare (``experiment``, ``seed``, …). Precedence: hyperparameter, then experiment, then RLlib's default. Nothing
here needs Ray, so that a laptop refuses what the container would.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Callable, Dict, Mapping, Optional, Sequence, get_args, get_type_hints

from rl_app import algorithms, plain
from rl_app.errors import UserError
from rl_app.experiments import EXPERIMENTS
from rl_app.experiments.experiment import Entry, as_experiment
from rl_app.job import agents, places
from rl_app.job.rules import breach
from rl_app.job.sagemaker import RESERVED, program_of
from rl_app.job.settings import EVALUATION_RULES, NONE, OURS, PREFIX, Evaluation, Job, Settings
from rl_app.job.tune import STOPS, TUNES
from rl_app.job.values import (
    conform,
    decode,
    decoded,
    flat,
    joined,
    names,
    nearest,
    refuse_strangers,
    shown,
    typed,
    unknown,
)
from rl_app.machine import Machine

# What a function of the machine is given where the machine is not known.
A_MACHINE = Machine(cpus=2, gpus=0)

# SageMaker's own limits, as CreateTrainingJob has them.
MOST_HYPERPARAMETERS = 100
LONGEST_KEY = 256
LONGEST_VALUE = 2500


def parse(raw: Mapping[str, str], machine: Optional[Machine], experiments: Mapping[str, Entry] = EXPERIMENTS) -> Job:
    """Type and check a job's hyperparameters.

    Args:
        machine: None on the laptop, where what depends on the machine cannot be checked.

    Raises:
        UserError: the first that is unknown, of a wrong type or impossible.
    """
    sagemaker = {key: value for key, value in raw.items() if key.startswith(RESERVED)}
    ours = {key: value for key, value in raw.items() if key not in sagemaker}
    name = _experiment_name(ours, experiments)
    trial = _trial(name, experiments[name], machine or A_MACHINE)
    run = _algorithm(ours, trial)
    template = {**asdict(Settings()), "rl": {"training": _template(run)}}
    given: Dict[str, Any] = {"rl": {"training": trial}}
    for key in sorted(ours, key=lambda key: key.count(".")):
        _put(given, key, decoded(key, ours[key], template))
    refuse_strangers(name, given["rl"]["training"], run, ours)
    job = conform(given, template, "", list(names(template)))
    trial = {
        "stop": {},
        "config": {},
        "checkpoint_freq": 10,
        "keep_checkpoints_num": 3,
        **job.pop("rl")["training"],
    }
    if machine is not None and not {PREFIX + "config", PREFIX + "config.num_workers"} & set(ours):
        trial = places.spread(trial, machine)
    job["seed"] = _seed(job, trial, ours)
    _check_values(job, trial, machine)
    return Job(Settings(**job), trial, sagemaker)


def parse_evaluation(raw: Mapping[str, str]) -> Evaluation:
    """Type and check the hyperparameters of an evaluation; ``command`` may be among them.

    Raises:
        UserError: the first that is unknown, of a wrong type or impossible.
    """
    kinds = {name: get_args(hint) or (hint,) for name, hint in get_type_hints(Evaluation).items()}
    kinds["env_config"] = (dict, NONE)
    template = asdict(Evaluation())
    given = {}
    for key, text in raw.items():
        if key.startswith(RESERVED) or key == "command":
            continue
        value = decode(key, text, a_string=str in kinds.get(key, ()))
        if "." in key or key == "experiment":
            raise UserError(f"{key} = {shown(value)}: an evaluation trains nothing; known are {joined(template)}")
        if key not in template:
            raise unknown(key, value, template, list(template))
        given[key] = typed(value, kinds[key], key)
    for rule in EVALUATION_RULES:
        value = given.get(rule.names)
        if value is not None and not rule.holds(value, given):
            raise UserError(f"{rule.names} = {shown(value)}: {rule.allowed}")
    return Evaluation(**given)


def is_evaluation(raw: Mapping[str, str]) -> bool:
    """Return whether the job evaluates a model; a user's own program may call anything ``command``."""
    return not is_program(raw) and decode("command", raw.get("command", ""), a_string=True) == "evaluate"


def is_program(raw: Mapping[str, str]) -> bool:
    """Return whether the job runs a program of the user's own, whose hyperparameters are its own business."""
    return program_of(raw) is not None


def qualify(key: str) -> str:
    """Return the full name of a key of the command line, which may leave out ``rl.training.``, and ``config.`` too.

    A name that is a setting of this project as well means that.
    """
    first = key.split(".")[0]
    if first in _template("PPO") or first in TUNES:
        return PREFIX + key
    return f"{PREFIX}config.{key}" if first in algorithms.config_names() and first not in OURS else key


def assignments(words: Sequence[str], full: Callable[[str], str] = qualify) -> Dict[str, str]:
    """Return the hyperparameters of the words ``KEY=VALUE`` of a command line, by their full names.

    Args:
        full: gives a key's full name; ``str`` for an evaluation, whose keys have no prefix.

    Raises:
        UserError: a word without ``=`` or key, or a key twice.
    """
    raw: Dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not key or not equals:
            raise UserError(f"{word}: expected KEY=VALUE, such as config.lr=0.001")
        key = full(key)
        if key in raw:
            raise UserError(f"{key} = {value}: given twice, before as {raw[key]}")
        raw[key] = value
    return raw


def check_limits(raw: Mapping[str, str]) -> None:
    """SageMaker's limits on the hyperparameters of a training job.

    Raises:
        UserError: there are too many, or one is too long.
    """
    if len(raw) > MOST_HYPERPARAMETERS:
        raise UserError(f"{len(raw)} hyperparameters: SageMaker takes at most {MOST_HYPERPARAMETERS}")
    for key, value in raw.items():
        if len(key) > LONGEST_KEY:
            raise UserError(f"{key[:40]}…: a name of {len(key)} characters; SageMaker takes at most {LONGEST_KEY}")
        if len(value) > LONGEST_VALUE:
            raise UserError(f"{key} = {value[:40]}…: {len(value)} characters; SageMaker takes at most {LONGEST_VALUE}")


def _experiment_name(ours: Mapping[str, str], experiments: Mapping[str, Entry]) -> str:
    name = decode("experiment", ours.get("experiment", Settings.experiment), a_string=True)
    if not isinstance(name, str) or name not in experiments:
        raise UserError(f"experiment = {shown(name)}: {nearest(str(name), experiments)}one of {joined(experiments)}")
    return name


def _trial(name: str, entry: Entry, machine: Machine) -> Dict[str, Any]:
    trial = plain.numbers(as_experiment(entry).on(machine))
    if not isinstance(trial, dict):
        raise UserError(f"experiment = {shown(name)}: expected a trial, {{'run': …, 'env': …}}, not {trial!r}")
    for key in ("run", "env"):
        if not isinstance(trial.get(key), str):
            given = f"experiment = {shown(name)}: {key} = {shown(trial.get(key))}"
            raise UserError(f"{given}: expected a string{_elsewhere(key, trial)}")
    return trial


def _elsewhere(key: str, trial: Mapping[str, Any]) -> str:
    """Say where an experiment has what it lacks, as it would have it where RLlib or AWS's launcher runs it."""
    config = trial.get("config")
    if isinstance(trial.get("training"), dict):
        return "; give what is in its training, without that around it"
    if isinstance(config, dict) and key in config:
        return f"; give it beside config, not in it: {{'{key}': {config[key]!r}, 'config': {{…}}}}"
    return "; give a class its name in ENVS of envs.py, and that here" if isinstance(trial.get(key), type) else ""


def _algorithm(ours: Mapping[str, str], trial: Mapping[str, Any]) -> str:
    key = PREFIX + "run"
    run = decode(key, ours[key], a_string=True) if key in ours else trial["run"]
    if run in algorithms.NAMES:
        return str(run)
    reason = algorithms.REFUSED.get(run) if isinstance(run, str) else None
    why = f"{reason}; " if reason else nearest(str(run), algorithms.NAMES)
    raise UserError(f"{key} = {shown(run)}: {why}one of {joined(algorithms.NAMES)}")


def _template(run: str) -> Dict[str, Any]:
    """Return a trial of the algorithm with a value of the right type everywhere."""
    return {
        "run": run,
        "env": "",
        "stop": dict.fromkeys(STOPS, 0.0),
        "config": algorithms.default_config(run),
        "checkpoint_freq": 0,
        "keep_checkpoints_num": 0,
    }


def _put(tree: Dict[str, Any], key: str, value: Any) -> None:
    """Set the value at the path ``key``; a value given for a whole object replaces the experiment's."""
    *path, last = key.split(".")
    if key in ("rl", "rl.training"):
        raise UserError(f"{key} = {shown(value)}: not as a whole, but by its keys: {PREFIX}config.lr, …")
    for name in path:
        if not isinstance(tree.get(name), dict):
            tree[name] = {}
        tree = tree[name]
    tree[last] = value


def _seed(job: Mapping[str, Any], trial: Dict[str, Any], ours: Mapping[str, str]) -> Optional[int]:
    """Return the seed, of whichever of its two names was given; the trial's config gets it."""
    seed: Optional[int] = job.get("seed")
    inside: Optional[int] = trial["config"].get("seed")
    if seed is None:
        return inside
    if PREFIX + "config.seed" in ours and seed != inside:
        raise UserError(f"seed = {seed}: but {PREFIX}config.seed = {inside}; they are one setting, so give one")
    trial["config"]["seed"] = seed
    return seed


def _check_values(job: Mapping[str, Any], trial: Mapping[str, Any], machine: Optional[Machine]) -> None:
    run = trial["run"]
    config = algorithms.merged(algorithms.default_config(run), trial["config"])
    agents.check(config, run)
    values = dict(flat({**job, **trial, "config": config}))
    broken = breach(values, machine)
    if broken is not None:
        given = dict(flat({**job, **trial}))
        whose = "" if broken.name in given else f" ({run}'s default)"
        raise UserError(f"{qualify(broken.name)} = {shown(values[broken.name])}{whose}: {broken.allowed}")
    for name, policy in agents.policies(config).items():
        _check_policy(name, agents.settings(policy), {**job, **trial, "config": config}, machine)


def _check_policy(name: str, own: Mapping[str, Any], job: Mapping[str, Any], machine: Optional[Machine]) -> None:
    """Hold what a policy of several has of its own to the same rules."""
    values = dict(flat({**job, "config": algorithms.merged(job["config"], own)}))
    broken = breach(values, machine)
    if broken is not None:
        path = f"{agents.PATH}.{agents.POLICIES}.{name}.{broken.name.partition('.')[2]}"
        raise UserError(f"{path} = {shown(values[broken.name])}: {broken.allowed}")
