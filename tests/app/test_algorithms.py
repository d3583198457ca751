"""The algorithms' default configs, held as data, are those of the installed Ray.

``python tests/app/test_algorithms.py`` writes the data anew.
"""

from __future__ import annotations

import json
from typing import Any, Dict, List

import pytest
from ray.rllib.agents.registry import ALGORITHMS, get_agent_class
from ray.rllib.agents.trainer import COMMON_CONFIG
from ray.rllib.contrib.registry import CONTRIBUTED_ALGORITHMS

from rl_app import algorithms


def plain(value: Any) -> Any:
    """The value as JSON holds it; a class or a function is null."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value if isinstance(value, (bool, int, float, str)) else None


def of_ray(name: str) -> Dict[str, Any]:
    config: Dict[str, Any] = plain(get_agent_class(name)._default_config)
    return config


def difference(base: Dict[str, Any], config: Dict[str, Any]) -> Dict[str, Any]:
    """What :func:`rl_app.algorithms.merged` has to lay over ``base`` to make it ``config``."""
    changes = {}
    for key, value in config.items():
        if isinstance(value, dict) and isinstance(base.get(key), dict):
            value = difference(base[key], value)
            if value:
                changes[key] = value
        elif key not in base or json.dumps(base[key]) != json.dumps(value):
            changes[key] = value
    return changes


def generated() -> str:
    """The whole data file, a line a key."""
    common: Dict[str, Any] = plain(COMMON_CONFIG)
    sections = {"common": common, **{name: difference(common, of_ray(name)) for name in algorithms.NAMES}}
    texts: List[str] = []
    for name, section in sections.items():
        lines = ",\n".join(f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in section.items())
        texts.append(f"{json.dumps(name)}: {{\n{lines}\n}}")
    return "{" + ",\n".join(texts) + "}\n"


@pytest.mark.parametrize("name", algorithms.NAMES)
def test_default_config_is_that_of_the_installed_ray(name: str) -> None:
    ours = algorithms.default_config(name)

    assert json.dumps(ours, sort_keys=True) == json.dumps(of_ray(name), sort_keys=True)


def test_every_algorithm_of_ray_is_known_or_refused_with_a_reason() -> None:
    assert {*algorithms.NAMES, *algorithms.REFUSED} == {*ALGORITHMS, *CONTRIBUTED_ALGORITHMS}


def test_the_data_file_holds_nothing_else() -> None:
    assert algorithms.DATA.read_text(encoding="utf-8") == generated()


if __name__ == "__main__":
    algorithms.DATA.write_text(generated(), encoding="utf-8")
