"""Values of hyperparameters: decoded from text, held to their types, unknown names to the nearest known ones."""

from __future__ import annotations

import difflib
import json
import math
from typing import Any, Iterable, Iterator, List, Mapping, Sequence, Tuple

from rl_app import algorithms
from rl_app.algorithms import synonyms
from rl_app.errors import UserError
from rl_app.job.settings import NONE, PREFIX
from rl_app.job.tune import SEARCHES, TUNES

# In these, names besides the default's pass.
OPEN = (
    *("env_config", "custom_options", "multiagent", "optimizer", "tf_session_args", "local_tf_session_args"),
    *("evaluation_config", "exploration_config"),
)
# Where the type of RLlib's default does not tell all that RLlib takes.
KINDS: Mapping[str, Tuple[type, ...]] = {
    **dict.fromkeys(("num_gpus", "num_gpus_per_worker", "num_cpus_per_worker"), (float,)),
    **dict.fromkeys(("min_iter_time_s", "collect_metrics_timeout", "learner_queue_timeout"), (float,)),
    **dict.fromkeys(("grad_clip", "grad_norm_clipping", "filter_clip"), (float, NONE)),
    **dict.fromkeys(("seed", "horizon", "evaluation_interval", "microbatch_size"), (int, NONE)),
    "fast": (bool, NONE),
    "head_group": (str, NONE),
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

# How many names a message lists
FEW = 16


def decoded(key: str, text: str, template: Mapping[str, Any]) -> Any:
    default: Any = template
    for name in key.split("."):
        default = default.get(name) if isinstance(default, Mapping) else None
    return decode(key, text, a_string=isinstance(default, str))


def decode(key: str, text: str, a_string: bool) -> Any:
    """Return JSON where it parses as JSON, else the text; where no string is meant, Python's constants too."""
    if text in PYTHONS and not a_string:
        return PYTHONS[text]
    try:
        return json.loads(text, parse_float=_finite, parse_constant=_finite)
    except json.JSONDecodeError as error:
        if text.lstrip()[:1] in ("{", "[") and not a_string:
            raise UserError(f"{key} = {shown(text)}: no JSON: {error.msg}, at character {error.pos + 1}") from None
        return text
    except (ValueError, RecursionError) as error:
        raise UserError(f"{key} = {shown(text)}: {error}") from None


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is no finite number")
    return number


def refuse_strangers(experiment: str, trial: Mapping[str, Any], run: str, ours: Mapping[str, str]) -> None:
    """Say it once where another algorithm does not know what the experiment was written with."""
    config = PREFIX + "config"
    if PREFIX + "run" not in ours or config in ours:
        return
    asked = {key.split(".")[3] for key in ours if key.startswith(f"{config}.")}
    strangers = {*trial.get("config", {})} - {*algorithms.default_config(run)} - asked
    if strangers:
        raise UserError(
            f"{PREFIX}run = {shown(run)}: experiment {experiment} configures what {run} does not know: "
            f"{joined(sorted(strangers))}; replace that, such as by {config} = {{}}"
        )


def conform(value: Any, default: Any, path: str, known: Sequence[str], is_open: bool = False) -> Any:
    """Return ``value``, of which every part has a name and a type of ``default``'s; whole floats become integers.

    Raises:
        UserError: a part has not.
    """
    name = path.rpartition(".")[2]
    if isinstance(value, Mapping) and "grid_search" in value:
        raise UserError(f"{path} = {shown(value)}: no grid_search: {SEARCHES}")
    if isinstance(value, tuple):
        value = list(value)
    value = typed(value, KINDS.get(name, (type(default),) if default is not None else ()), path)
    if isinstance(default, Mapping):
        is_open = is_open or name in OPEN or not default
        prefix = f"{path}." if path else ""
        for key in value:
            if key not in default and not is_open:
                raise unknown(f"{prefix}{key}", value[key], default, known)
        return {
            key: conform(part, default[key], f"{prefix}{key}", known, is_open) if key in default else part
            for key, part in value.items()
        }
    if isinstance(default, list) and default and isinstance(value, list):
        return [conform(part, default[0], f"{path}[{index}]", known) for index, part in enumerate(value)]
    return value


def typed(value: Any, kinds: Tuple[type, ...], path: str) -> Any:
    """Return the value, if it is of one of the kinds; anything is where there are none."""
    if isinstance(value, float) and value.is_integer() and int in kinds and float not in kinds:
        value = int(value)
    accepted = (*kinds, int) if float in kinds else kinds
    # In Python a bool is an int
    if kinds and (not isinstance(value, accepted) or isinstance(value, bool) > (bool in kinds)):
        expected = " or ".join(KIND_NAMES[kind] for kind in kinds)
        raise UserError(f"{path} = {shown(value)}: expected {expected}")
    return value


def unknown(key: str, value: Any, siblings: Mapping[str, Any], known: Sequence[str]) -> UserError:
    name = key.rpartition(".")[2]
    if key == PREFIX + name and name in TUNES:
        return UserError(f"{key} = {shown(value)}: not here: {TUNES[name]}")
    parent = key[: len(key) - len(name)]
    elsewhere = {candidate.rpartition(".")[2]: candidate for candidate in reversed(known)}
    config = {candidate.split(".")[3] for candidate in known if candidate.startswith(f"{PREFIX}config.")}
    others = {other: f"{PREFIX}config.{path}" for other, path in synonyms.of(dict.fromkeys(config)).items()}
    here = {other: f"{parent}{other}" for other in siblings}
    if parent in ("", PREFIX, f"{PREFIX}config."):
        here = {**others, **here}
    same = f"did you mean {elsewhere[name]}? " if name in elsewhere else ""
    nearest = same or _closest(name, here) or _closest(name, elsewhere) or _rather_close(name, here)
    names = [name if name != "rl" else f"{PREFIX}…" for name in siblings]
    what = joined(names) if len(names) <= FEW else f"{len(names)} other names, those of RLlib's default"
    where = f"{parent[:-1]} has" if parent else "known are"
    return UserError(f"{key} = {shown(value)}: unknown; {nearest}{where} {what}")


def _closest(name: str, places: Mapping[str, str]) -> str:
    """Return the question after the nearest of the names, by its place; "" where none is near."""
    return "".join(f"did you mean {places[other]}? " for other in _close(name, places))


def _rather_close(name: str, places: Mapping[str, str]) -> str:
    """Return some names that are less near, where there are too many to list them all."""
    close = _close(name, places, 3, 0.5) if len(places) > FEW else []
    return f"the nearest are {joined(places[other] for other in close)}; " if close else ""


def names(template: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in template.items():
        yield prefix + key
        if isinstance(value, Mapping):
            yield from names(value, f"{prefix}{key}.")


def flat(tree: Mapping[str, Any], prefix: str = "") -> Iterator[Tuple[str, Any]]:
    for key, value in tree.items():
        yield f"{prefix}{key}", value
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{key}.")


def nearest(name: str, known: Any, prefix: str = "") -> str:
    return "".join(f"did you mean {prefix}{other}? " for other in _close(name, known))


def _close(name: str, known: Iterable[str], most: int = 1, cutoff: float = 0.6) -> List[str]:
    """List the names that are like this one, the nearest first, in whichever case it was typed."""
    cased = {other.lower(): other for other in known}
    return [cased[other] for other in difflib.get_close_matches(name.lower(), cased, most, cutoff)]


def joined(names: Any) -> str:
    return ", ".join(str(name) for name in names)


def shown(value: Any) -> str:
    text = json.dumps(value, default=repr)
    return text if len(text) <= 200 else f"{text[:200]}…"
