"""What policy.json holds, and of which types."""

from __future__ import annotations

import math
from typing import Any, Mapping

import numpy as np

from rl_app import plain
from rl_app.job.agents import NAME, POLICIES, TABLE
from rl_app.spaces.description import KINDS, leaves
from rl_app.spaces.flattening import size
from rl_app.typed import (
    COUNT,
    FLAG,
    INTEGER,
    NUMBER,
    OBJECT,
    POSITIVE,
    TEXT,
    Check,
    Mismatch,
    expected,
    is_number,
    list_of,
    object_of,
    of,
    optional,
)

DEEPEST = 32
"""Spaces inside each other."""
ENV_LITERAL = "env_config_literal"
"""Says, as Python writes it, what an environment was made with where JSON cannot: tuples, sets, keys of any kind."""
DTYPES = tuple(np.dtype(code).name for code in "?bBhHiIqQefd")
_NOT_NEGATIVE = of("a number from 0", lambda value: is_number(value) and value >= 0)
_SHAPE = list_of(COUNT)
_OF_KIND: Mapping[str, Mapping[str, Check]] = {
    "Box": {
        "shape": _SHAPE,
        "dtype": of(f"one of {', '.join(DTYPES)}", lambda value: value in DTYPES),
        "low": list_of(optional(NUMBER)),
        "high": list_of(optional(NUMBER)),
    },
    "Discrete": {"n": POSITIVE},
    "MultiDiscrete": {"nvec": list_of(POSITIVE)},
    "MultiBinary": {"n": POSITIVE},
}


def check_space(space: Any, key: str, depth: int = 0) -> None:
    """Check a description of a space; raises Mismatch."""
    OBJECT(space, key)
    kind = space.get("type")
    if not isinstance(kind, str) or kind not in KINDS:
        raise expected(f"one of {', '.join(KINDS)}", kind, f"{key}.type")
    if depth > DEEPEST:
        raise Mismatch(f"{key[:80]}...: must be less deep: there are more than {DEEPEST} spaces inside each other")
    if kind in ("Tuple", "Dict"):
        _check_parts(space, kind, key, depth)
        return
    object_of({"start": INTEGER, "shape": _SHAPE}, _OF_KIND[kind])(space, key)
    _check_sizes(space, kind, key)


def _check_parts(space: Mapping[str, Any], kind: str, key: str, depth: int) -> None:
    parts, there = space.get("spaces"), f"{key}.spaces"
    if not isinstance(parts, list if kind == "Tuple" else dict) or not parts:
        raise expected(f"{'a list' if kind == 'Tuple' else 'an object'} of spaces", parts, there)
    items = enumerate(parts) if isinstance(parts, list) else parts.items()
    for name, part in items:
        check_space(part, f"{there}.{name}", depth + 1)


def _check_sizes(space: Mapping[str, Any], kind: str, key: str) -> None:
    """Check what of a leaf depends on its shape."""
    if kind == "Box":
        _check_bounds(space, key)
    elif "shape" in space:
        count = space["n"] if kind == "MultiBinary" else len(space["nvec"]) if kind == "MultiDiscrete" else 1
        if math.prod(space["shape"]) != count:
            raise expected(f"of {count} numbers", space["shape"], f"{key}.shape")


def _check_bounds(space: Mapping[str, Any], key: str) -> None:
    count = math.prod(space["shape"])
    sides = {len(space["low"]), len(space["high"])}
    if len(space["shape"]) > 32 or (len(sides) == 1 and count not in sides):
        raise expected(f"of as many numbers as there are bounds, {len(space['low'])}", space["shape"], f"{key}.shape")
    for name in ("low", "high"):
        if len(space[name]) != count:
            raise Mismatch(f"{key}.{name}: must hold {count} values, and holds {len(space[name])}")
    for index, (low, high) in enumerate(zip(space["low"], space["high"])):
        if low is not None and high is not None and low > high:
            raise expected(f"at most high[{index}], {high}", low, f"{key}.low[{index}]")


_FILTER = object_of({"clip": optional(_NOT_NEGATIVE)}, {"mean": list_of(NUMBER), "std": list_of(_NOT_NEGATIVE)})
_TRAINING = object_of(
    {
        "training_iteration": COUNT,
        "timesteps_total": COUNT,
        "episodes_total": optional(COUNT),
        "episode_reward_mean": optional(of("a number", lambda value: type(value) in (int, float))),  # or no number yet
        "job": optional(TEXT),
    }
)
_COMMON: Mapping[str, Check] = {
    "env": optional(TEXT),
    "env_config": optional(OBJECT),
    ENV_LITERAL: optional(of("what Python writes of a dict", lambda value: _is_dict(value))),
    "seed": optional(INTEGER),
    "training": _TRAINING,
    "versions": OBJECT,
}
_POLICY = object_of(
    {**_COMMON, "observation_size": POSITIVE},
    {
        "algorithm": TEXT,
        "observation_space": check_space,
        "action_space": check_space,
        "observation_filter": optional(_FILTER),
        "action_distribution": TEXT,
        "normalize_actions": FLAG,
        "clip_actions": FLAG,
        "state_sizes": list_of(POSITIVE),
        "inputs": list_of(TEXT),
        "outputs": list_of(TEXT),
    },
)


_NAME = of("a policy's name", lambda value: isinstance(value, str) and NAME.fullmatch(value) is not None)
_SEVERAL = object_of(_COMMON, {"algorithm": TEXT, "policies": list_of(_NAME), "policy_mapping": OBJECT})


def env_config_of(facts: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what the environment of a model was made with, as policy.json has it, or else params.json."""
    text = facts.get(ENV_LITERAL)
    config: Mapping[str, Any] = plain.from_literal(text) if text else facts["env_config"]
    return config


def _is_dict(text: Any) -> bool:
    try:
        return isinstance(text, str) and isinstance(plain.from_literal(text), dict)
    except ValueError:
        return False


def names_several(facts: Mapping[str, Any]) -> bool:
    """Say whether a policy.json is that of a model with several policies, each in a folder of its own."""
    return POLICIES in facts


def _check_several(facts: Mapping[str, Any]) -> None:
    _SEVERAL(facts, "")
    if not facts[POLICIES]:
        raise Mismatch(f"{POLICIES}: must be a list of names, and is empty")
    for agent, policy in facts[TABLE].items():
        if policy not in facts[POLICIES]:
            raise expected(f"one of {', '.join(facts[POLICIES])}", policy, f"{TABLE}.{agent}")


def check_facts(facts: Any) -> None:
    """Check what policy.json holds, each value and that they fit each other; raises Mismatch."""
    if not isinstance(facts, dict):
        raise Mismatch("must be an object, and is none: it is no policy.json of this program")
    if names_several(facts):
        _check_several(facts)
        return
    _POLICY(facts, "")
    width = size(facts["observation_space"])
    if facts.get("observation_size", width) != width:
        raise expected(f"{width}, as observation_space is", facts["observation_size"], "observation_size")
    for name in ("mean", "std") if facts["observation_filter"] else ():
        list_of(NUMBER, width)(facts["observation_filter"][name], f"observation_filter.{name}")
    actions = [f"actions_{index}" for index, _ in enumerate(leaves(facts["action_space"]))]
    found = [name for name in facts["outputs"] if name.startswith("actions_")]
    if sorted(found) != sorted(actions):
        raise Mismatch(f"outputs: must hold {', '.join(actions)}, as action_space is, and holds {', '.join(found)}")


def check_network(facts: Mapping[str, Any], inputs: Mapping[str, Any]) -> None:
    """Check that a network has what policy.json says of it; raises Mismatch."""
    for name in facts["inputs"]:
        if name not in inputs:
            raise Mismatch(f"inputs: must be of the network's, {', '.join(inputs)}, and {name[:40]} is none")
    widths = [inputs[name].shape for name in inputs if name.startswith("state_in_")]
    sizes = [(length,) for length in facts["state_sizes"]]
    if widths != sizes and None not in widths:
        states = ", ".join(str(math.prod(width)) for width in widths)
        raise Mismatch(f"state_sizes: must be [{states}], as the network's states are, and is {facts['state_sizes']}")
