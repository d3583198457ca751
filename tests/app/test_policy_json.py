"""A policy.json that somebody changed: refused in one line that names the file, the key and what is expected."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any, Dict, List, Tuple

import numpy as np
import pytest
from gym import spaces

from rl_app.errors import UserError
from rl_app.policy.loading import read_facts
from rl_app.policy.policy import Policy
from tests.app.made_models import write_model

BIG = 10**12
BOX: Dict[str, Any] = {"type": "Box", "shape": [4], "dtype": "float32", "low": [-1.0] * 4, "high": [1.0] * 4}
FILTER: Dict[str, Any] = {"mean": [0.0] * 4, "std": [1.0] * 4, "clip": 10.0}
WRONG: List[Tuple[str, Any]] = [
    *((key, 7) for key in ("algorithm", "env", "env_config", "action_distribution", "training", "versions")),
    *((key, None) for key in ("algorithm", "action_distribution", "normalize_actions", "clip_actions", "state_sizes")),
    *((key, value) for key in ("normalize_actions", "clip_actions") for value in ("no", "", 0, 1, [], {})),
    *((key, value) for key in ("observation_space", "action_space") for value in (None, 4, "Box", [], {})),
    *((key, value) for key in ("inputs", "outputs") for value in (None, "observations", {}, 3, [1], [None])),
    *(("state_sizes", value) for value in ("256", 256, {}, ["256"], [256.5], [-1], [True], [None], [BIG], [3])),
    *(("observation_filter", value) for value in ("no", 1, [], {}, True, [FILTER])),
    *(("observation_filter.mean", value) for value in (None, 0.0, "0", [0.0], ["0"] * 4, [None] * 4, {})),
    *(("observation_filter.std", value) for value in (None, 1.0, [1.0] * 5, [[1.0]] * 4, [-1.0] * 4)),
    *(("observation_filter.clip", value) for value in ("10", [10.0], True, -1.0)),
    *(("observation_space.type", value) for value in (None, "Boxes", 3, [], {})),
    *(("observation_space.shape", value) for value in (None, 4, "4", [4.0], ["4"], [-4], [2], [BIG], [BIG] * 40)),
    *(("observation_space.dtype", value) for value in (None, "float", "object", "str", 32, [])),
    *(
        ("observation_space.low", value)
        for value in (None, -1.0, [-1.0], ["-1"] * 4, [[-1.0]] * 4, [True] * 4, [2.0] * 4)
    ),
    *(("observation_space.high", value) for value in (1.0, [], [1.0] * 5, {})),
    *(("action_space.n", value) for value in (None, "3", 3.5, 0, -3, True, [3])),
    *(("action_space.start", value) for value in ("0", 0.5, None, [])),
    *(("env_config_literal", value) for value in (3, "f()", "[1]", "(", "")),
    ("outputs", ["action_logp"]),
    ("outputs", ["actions_0", "actions_1"]),
    ("inputs", ["observations", "nothing"]),
    ("observation_size", "4"),
    ("observation_size", 5),
    ("seed", "one"),
    ("training.episode_reward_mean", "high"),
    ("training.job", 7),
    ("training.episodes_total", "none"),
]


def changed(facts: Any, key: str, value: Any) -> Any:
    facts = copy.deepcopy(facts)
    *above, last = key.split(".")
    inside = facts
    for name in above:
        inside = inside[name]
    inside[last] = value
    return facts


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    box = spaces.Box(-1.0, 1.0, (4,), np.float32)
    return write_model(tmp_path_factory.mktemp("model"), box, observation_filter=FILTER)


@pytest.mark.parametrize(("key", "value"), WRONG, ids=[f"{key}={str(value)[:24]}" for key, value in WRONG])
def test_what_is_of_the_wrong_type_is_refused_by_its_name(key: str, value: Any, model: Path, tmp_path: Path) -> None:
    facts = json.loads((model / "policy.json").read_text())
    (tmp_path / "policy.onnx").write_bytes((model / "policy.onnx").read_bytes())
    (tmp_path / "policy.json").write_text(json.dumps(changed(facts, key, value)))
    with pytest.raises(UserError) as refused:
        Policy.load(tmp_path)
    said = str(refused.value)
    assert said.startswith(f"{tmp_path / 'policy.json'}: {key}") and "\n" not in said and len(said) < 500
    assert "must be" in said or "must hold" in said


@pytest.mark.parametrize(
    "text",
    ["", "[]", "7", "null", "{", "[" * 100_000, '{"a": ' * 100_000, '{"algorithm": NaN}', "\ufffe"],
    ids=lambda text: text[:20],
)
def test_what_is_no_policy_json_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "policy.json").write_text(text)
    with pytest.raises(UserError) as refused:
        read_facts(tmp_path / "policy.json")
    assert str(refused.value).startswith(f"{tmp_path / 'policy.json'}: ") and "\n" not in str(refused.value)


def test_spaces_inside_each_other_without_end_are_refused(model: Path, tmp_path: Path) -> None:
    facts, space = json.loads((model / "policy.json").read_text()), BOX
    for _ in range(200):
        space = {"type": "Tuple", "spaces": [space]}
    (tmp_path / "policy.json").write_text(json.dumps({**facts, "observation_space": space}))
    with pytest.raises(UserError, match=r"policy.json: observation_space.*: must be less deep"):
        read_facts(tmp_path / "policy.json")


@pytest.mark.parametrize(
    "space",
    [
        spaces.Dict(a=spaces.MultiDiscrete([2, 3]), b=spaces.Tuple([spaces.Discrete(2), spaces.MultiBinary(3)])),
        spaces.Box(-np.inf, np.inf, (2, 2), np.float64),
        spaces.Box(0, 255, (3, 2), np.uint8),
        spaces.MultiDiscrete([[2, 3], [4, 5]]),
        spaces.Discrete(3, start=-1),
    ],
    ids=str,
)
def test_what_a_job_writes_is_taken(space: Any, tmp_path: Path) -> None:
    assert Policy.load(write_model(tmp_path, space)).engine == "onnxruntime"
