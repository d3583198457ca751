"""A job's hyperparameters: strings in, a checked description of one trial out.

``rl.training.<path>`` walks into the experiment (``rl.training.config.lr``); the settings of this project are
bare (``experiment``, ``seed``, …). Precedence: hyperparameter, then experiment, then RLlib's default. Nothing
here needs Ray, so that a laptop refuses what the container would.
"""

from __future__ import annotations

import copy
import difflib
import json
import math
from dataclasses import asdict, dataclass, field
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple, get_args, get_type_hints

from rl_app import algorithms
from rl_app.errors import UserError
from rl_app.experiments import EXPERIMENTS, Experiment
from rl_app.machine import Machine
from rl_app.rules import Rule, breach
from rl_app.sagemaker import program_of

PREFIX = "rl.training."
SAGEMAKERS = ("sagemaker_", "_tuning_objective_metric")

# What a function of the machine is given where the machine is not known.
A_MACHINE = Machine(cpus=2, gpus=0)

STOPS = (
    "training_iteration",
    "timesteps_total",
    "episodes_total",
    "time_total_s",
    "episode_reward_mean",
    "episode_reward_max",
    "episode_reward_min",
    "episode_len_mean",
)

# Words of Tune's that mean nothing here, and what does that job.
SEARCHES = "a job is one trial; SageMaker's tuning jobs search"
CHECKPOINTS = "a job saves at its end, and exports its best checkpoint"
PLACES = "SageMaker's contract says where files go"
TUNES = {
    **dict.fromkeys(("num_samples", "search_alg", "scheduler", "grid_search", "reuse_actors"), SEARCHES),
    **dict.fromkeys(("queue_trials", "trial_executor", "resources_per_trial"), "a job has its machine to itself"),
    **dict.fromkeys(("checkpoint_at_end", "checkpoint_score_attr", "export_formats"), CHECKPOINTS),
    **dict.fromkeys(("restore", "resume", "max_failures"), "a job goes on from what it finds in its checkpoints"),
    **dict.fromkeys(("local_dir", "upload_dir", "sync_to_driver", "sync_to_cloud", "sync_on_checkpoint"), PLACES),
    **dict.fromkeys(("name", "trial_name_creator"), "the training job has a name of its own"),
    **dict.fromkeys(("loggers", "verbose", "progress_reporter"), "a job has its own display and log files"),
}

# In these, names besides the default's pass.
OPEN = (
    *("env_config", "custom_options", "multiagent", "optimizer", "tf_session_args", "local_tf_session_args"),
    *("evaluation_config", "exploration_config"),
)

NONE = type(None)
# Where the type of RLlib's default does not tell all that RLlib takes.
KINDS: Mapping[str, Tuple[type, ...]] = {
    **dict.fromkeys(("num_gpus", "num_gpus_per_worker", "num_cpus_per_worker"), (float,)),
    **dict.fromkeys(("min_iter_time_s", "collect_metrics_timeout", "learner_queue_timeout"), (float,)),
    **dict.fromkeys(("grad_clip", "grad_norm_clipping"), (float, NONE)),
    **dict.fromkeys(("seed", "horizon", "evaluation_interval", "microbatch_size"), (int, NONE)),
    "target_entropy": (float, str),
    "input": (str, list, dict),
    # -1, of two kinds of value
    "soft_q": (bool, int),
    "softmax_temp": (float,),
    "per_worker_exploration": (bool, int),
    "parameter_noise": (bool, int),
    "hidden_activation": (str, int),
    "hidden_layer_sizes": (list, int),
}
KIND_NAMES = {
    bool: "true or false",
    int: "an integer",
    float: "a number",
    str: "a string",
    list: "a list as JSON",
    dict: "an object as JSON",
    NONE: "null",
}
PYTHONS = {"True": True, "False": False, "None": None}

EVALUATION_RULES = (
    Rule("evaluate_episodes", lambda value, _: value >= 1, "must be 1 or more"),
    Rule("seed", lambda value, _: 0 <= value < 2**32, "must be 0 to 4294967295"),
    Rule("algorithm", lambda value, _: value in algorithms.NAMES, f"must be one of {', '.join(algorithms.NAMES)}"),
    Rule("max_steps", lambda value, _: value >= 1, "must be 1 or more"),
    Rule("videos", lambda value, _: value >= 0, "must be 0 or more"),
    Rule("max_run", lambda value, _: value >= 1, "must be 1 or more"),
    Rule("env_deadline", lambda value, _: value >= 1, "must be 1 or more"),
)

# How many names a message lists
FEW = 12

# SageMaker's own limits, as CreateTrainingJob has them.
MOST_HYPERPARAMETERS = 100
LONGEST_KEY = 256
LONGEST_VALUE = 2500


@dataclass(frozen=True)
class Settings:
    """The settings of this project, each the bare hyperparameter of its name."""

    experiment: str = field(default="cartpole", metadata={"help": "what to train: a name of the experiments"})
    command: str = field(default="train", metadata={"help": "`train`, or `evaluate` a model"})
    seed: Optional[int] = field(
        default=None,
        metadata={"help": "makes a run repeatable: 0 to 4294967295; the same as `rl.training.config.seed`"},
    )
    max_run: int = field(
        default=24 * 60 * 60,
        metadata={"help": "the longest that the job may run, in seconds; then it is stopped"},
    )
    env_deadline: int = field(
        default=60,
        metadata={"help": "the longest that a call of the environment may take, in seconds; then it hangs"},
    )


@dataclass(frozen=True)
class Evaluation:
    """The settings of a job whose ``command`` is ``evaluate``, each the bare hyperparameter of its name.

    ``evaluate_episodes``, ``algorithm`` and ``env`` are named as AWS's evaluation script names them.
    """

    evaluate_episodes: int = field(default=10, metadata={"help": "how many episodes are played"})
    seed: int = field(
        default=0, metadata={"help": "the same seed gives the same episodes, to every model: 0 to 4294967295"}
    )
    deterministic: bool = field(
        default=True, metadata={"help": "`true`: the policy's best action; `false`: samples of its distribution"}
    )
    restore: bool = field(
        default=False,
        metadata={"help": "`true`: restores the agent with Ray, from a pickle, in place of the exported policy"},
    )
    algorithm: Optional[str] = field(
        default=None, metadata={"help": "for a model without policy.json, as AWS's launcher makes them: `PPO`, …"}
    )
    env: Optional[str] = field(default=None, metadata={"help": "another environment than the policy was trained in"})
    env_config: Optional[Dict[str, Any]] = field(
        default=None, metadata={"help": "what that environment is made with, as a JSON object"}
    )
    max_steps: Optional[int] = field(
        default=None,
        metadata={"help": "cuts an episode after so many steps; default: the training's `config.horizon`, if any"},
    )
    videos: int = field(default=2, metadata={"help": "how many episodes are recorded: the best, the worst, …"})
    max_run: int = field(default=24 * 60 * 60, metadata={"help": "as in training"})
    env_deadline: int = field(default=Settings.env_deadline, metadata={"help": "as in training"})


@dataclass(frozen=True)
class Job:
    """What a job is to do.

    ``trial`` has ``run``, ``env``, ``stop``, ``config`` (without RLlib's defaults), ``checkpoint_freq``
    (10 if not given) and ``keep_checkpoints_num`` (3); ``sagemaker`` has what is SageMaker's own.
    """

    settings: Settings
    trial: Dict[str, Any]
    sagemaker: Dict[str, str]


def parse(
    raw: Mapping[str, str], machine: Optional[Machine], experiments: Mapping[str, Experiment] = EXPERIMENTS
) -> Job:
    """Types and checks a job's hyperparameters.

    Args:
        machine: None on the laptop, where what depends on the machine cannot be checked.

    Raises:
        UserError: the first that is unknown, of a wrong type or impossible.
    """
    sagemaker = {key: value for key, value in raw.items() if key.startswith(SAGEMAKERS)}
    ours = {key: value for key, value in raw.items() if key not in sagemaker}
    name = _experiment_name(ours, experiments)
    trial = _trial(name, experiments[name], machine or A_MACHINE)
    run = _algorithm(ours, trial)
    template = {**asdict(Settings()), "rl": {"training": _template(run)}}
    given: Dict[str, Any] = {"rl": {"training": trial}}
    for key in sorted(ours, key=lambda key: key.count(".")):
        _put(given, key, _decoded(key, ours[key], template))
    _refuse_strangers(name, given["rl"]["training"], run, ours)
    job = _conform(given, template, "", list(_names(template)))
    trial = {
        "stop": {},
        "config": {},
        "checkpoint_freq": 10,
        "keep_checkpoints_num": 3,
        **job.pop("rl")["training"],
    }
    job["seed"] = _seed(job, trial, ours)
    _check_values(job, trial, machine)
    return Job(Settings(**job), trial, sagemaker)


def parse_evaluation(raw: Mapping[str, str]) -> Evaluation:
    """Types and checks the hyperparameters of an evaluation; ``command`` may be among them.

    Raises:
        UserError: the first that is unknown, of a wrong type or impossible.
    """
    kinds = {name: get_args(hint) or (hint,) for name, hint in get_type_hints(Evaluation).items()}
    kinds["env_config"] = (dict, NONE)
    template = asdict(Evaluation())
    given = {}
    for key, text in raw.items():
        if key.startswith(SAGEMAKERS) or key == "command":
            continue
        value = _decode(key, text, a_string=str in kinds.get(key, ()))
        if "." in key or key == "experiment":
            raise UserError(f"{key} = {_shown(value)}: an evaluation trains nothing; known are {_list(template)}")
        if key not in template:
            raise _unknown(key, value, template, list(template))
        given[key] = _typed(value, kinds[key], key)
    for rule in EVALUATION_RULES:
        value = given.get(rule.names)
        if value is not None and not rule.holds(value, given):
            raise UserError(f"{rule.names} = {_shown(value)}: {rule.allowed}")
    return Evaluation(**given)


def is_evaluation(raw: Mapping[str, str]) -> bool:
    """Whether the job evaluates a model; a user's own program may call anything ``command``."""
    return not is_program(raw) and _decode("command", raw.get("command", ""), a_string=True) == "evaluate"


def is_program(raw: Mapping[str, str]) -> bool:
    """Whether the job runs a program of the user's own, whose hyperparameters are its own business."""
    return program_of(raw) is not None


def qualify(key: str) -> str:
    """The full name of a key of the command line, which may leave out ``rl.training.``."""
    first = key.split(".")[0]
    return PREFIX + key if first in _template("PPO") or first in TUNES else key


def assignments(words: Sequence[str], full: Callable[[str], str] = qualify) -> Dict[str, str]:
    """The hyperparameters of the words ``KEY=VALUE`` of a command line, by their full names.

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


def _experiment_name(ours: Mapping[str, str], experiments: Mapping[str, Experiment]) -> str:
    name = _decode("experiment", ours.get("experiment", Settings.experiment), a_string=True)
    if not isinstance(name, str) or name not in experiments:
        raise UserError(f"experiment = {_shown(name)}: {_nearest(str(name), experiments)}one of {_list(experiments)}")
    return name


def _trial(name: str, experiment: Experiment, machine: Machine) -> Dict[str, Any]:
    trial = copy.deepcopy(experiment(machine) if callable(experiment) else experiment)
    for key in ("run", "env"):
        if not isinstance(trial.get(key), str):
            raise UserError(f"experiment = {_shown(name)}: {key} = {_shown(trial.get(key))}: expected a string")
    return trial


def _algorithm(ours: Mapping[str, str], trial: Mapping[str, Any]) -> str:
    key = PREFIX + "run"
    run = _decode(key, ours[key], a_string=True) if key in ours else trial["run"]
    if run in algorithms.NAMES:
        return str(run)
    reason = algorithms.REFUSED.get(run) if isinstance(run, str) else None
    why = f"{reason}; " if reason else _nearest(str(run), algorithms.NAMES)
    raise UserError(f"{key} = {_shown(run)}: {why}one of {_list(algorithms.NAMES)}")


def _template(run: str) -> Dict[str, Any]:
    """A trial of the algorithm with a value of the right type everywhere."""
    return {
        "run": run,
        "env": "",
        "stop": dict.fromkeys(STOPS, 0.0),
        "config": algorithms.default_config(run),
        "checkpoint_freq": 0,
        "keep_checkpoints_num": 0,
    }


def _put(tree: Dict[str, Any], key: str, value: Any) -> None:
    """Sets the value at the path ``key``; a value given for a whole object replaces the experiment's."""
    *path, last = key.split(".")
    if key in ("rl", "rl.training"):
        raise UserError(f"{key} = {_shown(value)}: not as a whole, but by its keys: {PREFIX}config.lr, …")
    for name in path:
        if not isinstance(tree.get(name), dict):
            tree[name] = {}
        tree = tree[name]
    tree[last] = value


def _decoded(key: str, text: str, template: Mapping[str, Any]) -> Any:
    default: Any = template
    for name in key.split("."):
        default = default.get(name) if isinstance(default, Mapping) else None
    return _decode(key, text, a_string=isinstance(default, str))


def _decode(key: str, text: str, a_string: bool) -> Any:
    """JSON where it parses as JSON, else the text; where no string is meant, Python's constants too."""
    if text in PYTHONS and not a_string:
        return PYTHONS[text]
    try:
        return json.loads(text, parse_float=_finite, parse_constant=_finite)
    except json.JSONDecodeError as error:
        if text.lstrip()[:1] in ("{", "[") and not a_string:
            raise UserError(f"{key} = {_shown(text)}: no JSON: {error.msg}, at character {error.pos + 1}") from None
        return text
    except (ValueError, RecursionError) as error:
        raise UserError(f"{key} = {_shown(text)}: {error}") from None


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is no finite number")
    return number


def _refuse_strangers(experiment: str, trial: Mapping[str, Any], run: str, ours: Mapping[str, str]) -> None:
    """Says it once where another algorithm does not know what the experiment was written with."""
    config = PREFIX + "config"
    if PREFIX + "run" not in ours or config in ours:
        return
    asked = {key.split(".")[3] for key in ours if key.startswith(f"{config}.")}
    strangers = {*trial.get("config", {})} - {*algorithms.default_config(run)} - asked
    if strangers:
        raise UserError(
            f"{PREFIX}run = {_shown(run)}: experiment {experiment} configures what {run} does not know: "
            f"{_list(sorted(strangers))}; replace that, such as by {config} = {{}}"
        )


def _conform(value: Any, default: Any, path: str, known: Sequence[str], is_open: bool = False) -> Any:
    """``value``, of which every part has a name and a type of ``default``'s; whole floats become integers.

    Raises:
        UserError: a part has not.
    """
    name = path.rpartition(".")[2]
    if isinstance(value, Mapping) and "grid_search" in value:
        raise UserError(f"{path} = {_shown(value)}: no grid_search: {SEARCHES}")
    if isinstance(value, tuple):
        value = list(value)
    value = _typed(value, KINDS.get(name, (type(default),) if default is not None else ()), path)
    if isinstance(default, Mapping):
        is_open = is_open or name in OPEN or not default
        prefix = f"{path}." if path else ""
        for key in value:
            if key not in default and not is_open:
                raise _unknown(f"{prefix}{key}", value[key], default, known)
        return {
            key: _conform(part, default[key], f"{prefix}{key}", known, is_open) if key in default else part
            for key, part in value.items()
        }
    if isinstance(default, list) and default and isinstance(value, list):
        return [_conform(part, default[0], f"{path}[{index}]", known) for index, part in enumerate(value)]
    return value


def _typed(value: Any, kinds: Tuple[type, ...], path: str) -> Any:
    """The value, if it is of one of the kinds; anything is where there are none."""
    if isinstance(value, float) and value.is_integer() and int in kinds and float not in kinds:
        value = int(value)
    accepted = (*kinds, int) if float in kinds else kinds
    # In Python a bool is an int
    if kinds and (not isinstance(value, accepted) or isinstance(value, bool) > (bool in kinds)):
        expected = " or ".join(KIND_NAMES[kind] for kind in kinds)
        raise UserError(f"{path} = {_shown(value)}: expected {expected}")
    return value


def _unknown(key: str, value: Any, siblings: Mapping[str, Any], known: Sequence[str]) -> UserError:
    name = key.rpartition(".")[2]
    if key == PREFIX + name and name in TUNES:
        return UserError(f"{key} = {_shown(value)}: not here: {TUNES[name]}")
    parent = key[: len(key) - len(name)]
    elsewhere = {candidate.rpartition(".")[2]: candidate for candidate in reversed(known)}
    same = f"did you mean {elsewhere[name]}? " if name in elsewhere else ""
    close = [elsewhere[other] for other in difflib.get_close_matches(name, elsewhere, n=1)]
    nearest = same or _nearest(name, siblings, parent) or "".join(f"did you mean {other}? " for other in close)
    names = [name if name != "rl" else f"{PREFIX}…" for name in siblings]
    what = _list(names) if len(names) <= FEW else f"{len(names)} other names, those of RLlib's default"
    where = f"{parent[:-1]} has" if parent else "known are"
    return UserError(f"{key} = {_shown(value)}: unknown; {nearest}{where} {what}")


def _names(template: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in template.items():
        yield prefix + key
        if isinstance(value, Mapping):
            yield from _names(value, f"{prefix}{key}.")


def _seed(job: Mapping[str, Any], trial: Dict[str, Any], ours: Mapping[str, str]) -> Optional[int]:
    """The seed, of whichever of its two names was given; the trial's config gets it."""
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
    values = dict(_flat({**job, **trial, "config": config}))
    broken = breach(values, machine)
    if broken is not None:
        given = dict(_flat({**job, **trial}))
        whose = "" if broken.name in given else f" ({run}'s default)"
        raise UserError(f"{qualify(broken.name)} = {_shown(values[broken.name])}{whose}: {broken.allowed}")


def _flat(tree: Mapping[str, Any], prefix: str = "") -> Iterator[Tuple[str, Any]]:
    for key, value in tree.items():
        yield f"{prefix}{key}", value
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")


def _nearest(name: str, known: Any, prefix: str = "") -> str:
    close: List[str] = difflib.get_close_matches(name, list(known), n=1)
    return f"did you mean {prefix}{close[0]}? " if close else ""


def _list(names: Any) -> str:
    return ", ".join(str(name) for name in names)


def _shown(value: Any) -> str:
    text = json.dumps(value, default=repr)
    return text if len(text) <= 200 else f"{text[:200]}…"
