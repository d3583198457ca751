"""The algorithms of RLlib 0.8.5 that this image runs, and the default config of each, as data.

With the data here, a hyperparameter can be checked where there is no Ray; tests/app/test_algorithms.py holds
it against the installed Ray and writes it anew.
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any, Dict, FrozenSet, Mapping

DATA = Path(__file__).with_name("defaults.json")

NAMES = (
    "PPO",
    "APPO",
    "IMPALA",
    "A2C",
    "A3C",
    "PG",
    "DQN",
    "SimpleQ",
    "APEX",
    "SAC",
    "DDPG",
    "APEX_DDPG",
    "TD3",
    "MARWIL",
)

NEEDS_TORCH = "it needs PyTorch, and this image has TensorFlow"
NEEDS_PICKLE = "Ray 0.8.5 cannot start its workers on Python 3.8, which this image has"
REFUSED = {
    "ES": NEEDS_PICKLE,
    "ARS": NEEDS_PICKLE,
    "DDPPO": NEEDS_TORCH,
    "QMIX": NEEDS_TORCH,
    "APEX_QMIX": NEEDS_TORCH,
    "contrib/AlphaZero": NEEDS_TORCH,
    "contrib/LinTS": NEEDS_TORCH,
    "contrib/LinUCB": NEEDS_TORCH,
    "contrib/MADDPG": "its policies have no distribution whose best action could be exported",
    "contrib/RandomAgent": "it learns nothing",
}


def default_config(name: str) -> Dict[str, Any]:
    """Return a fresh copy of the algorithm's default config; what is a class or a function in RLlib is None.

    Raises:
        KeyError: ``name`` is not one of :data:`NAMES`.
    """
    sections = json.loads(_text())
    return merged(sections["common"], sections[name])


@lru_cache(maxsize=1)
def config_names() -> FrozenSet[str]:
    """Return the names at the top of a config of any algorithm."""
    return frozenset(name for section in json.loads(_text()).values() for name in section)


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> Dict[str, Any]:
    """Return ``base`` with ``changes`` laid over it, key by key in nested dicts; neither is changed."""
    result = dict(base)
    for key, value in changes.items():
        under = base.get(key)
        if isinstance(under, Mapping) and isinstance(value, Mapping):
            value = merged(under, value)
        result[key] = value
    return result


@lru_cache(maxsize=1)
def _text() -> str:
    return DATA.read_text(encoding="utf-8")
