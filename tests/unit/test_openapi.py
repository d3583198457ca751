"""The OpenAPI document is exact for each kind of space, as far as OpenAPI 3.0 has words for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict

import jsonschema
import numpy as np
import pytest
from gym import spaces
from schemathesis.specs.openapi.definitions import OPENAPI_30_VALIDATOR

from rl_app.policy.policy import Policy
from rl_app.serving import openapi
from rl_app.serving.media_types import MEDIA_TYPES
from rl_app.serving.media_types.json import JSON
from rl_app.serving.schemas import example
from rl_app.spaces.description import describe
from tests.app.made_models import BOX, THREE, write_model

SPACES: Dict[str, Any] = {
    "floats": (spaces.Box(-1, 1, (2,), np.float32), [[0, 0.5], [-3e38, 9]], [[0], [0, "1"], [0, 1e39], 0, [[0, 0]]]),
    "a float": (spaces.Box(-1, 1, (), np.float32), [0, 0.5], [[0], None, -1e39]),
    "bytes": (spaces.Box(0, 255, (1, 2), np.uint8), [[[0, 255]]], [[[0, 256]], [[-1, 0]], [[0.5, 0]], [0, 0]]),
    "shorts": (spaces.Box(-5, 5, (1,), np.int16), [[-32768], [32767]], [[-32769], [32768]]),
    "longs": (spaces.Box(-5, 5, (1,), np.int64), [[-(2**63)], [2**63 - 1]], [[2**63]]),
    "choice": (spaces.Discrete(3), [0, 2], [3, -1, 1.5, [0], "0"]),
    "choices": (spaces.MultiDiscrete([3, 3]), [[0, 2]], [[0, 3], [0], [0, 0, 0]]),
    "other choices": (spaces.MultiDiscrete([2, 5]), [[1, 4]], [[0, 5]]),
    "bits": (spaces.MultiBinary(2), [[0, 1]], [[0, 2], [1]]),
    "parts": (spaces.Tuple([THREE, BOX]), [[2, [0, 0, 0, 0]]], [[3, [0, 0, 0, 0]], [0], [0, [0]]]),
    "names": (spaces.Dict({"a": THREE, "b": BOX}), [{"a": 0, "b": [0] * 4}], [{"a": 0}, {"a": 0, "b": [0] * 4, "": 1}]),
}  # fmt: skip


def document(directory: Path, **model: Any) -> Dict[str, Any]:
    return openapi.document(Policy.load(write_model(directory / "model", **model)))


def is_of(value: Any, schema: Any, root: Dict[str, Any]) -> bool:
    return bool(jsonschema.Draft7Validator({**root, **schema}).is_valid(value))


def question(root: Dict[str, Any]) -> Any:
    return root["paths"]["/invocations"]["post"]["requestBody"]["content"][JSON.name]["schema"]


@pytest.mark.parametrize("name", SPACES)
def test_a_space_takes_its_own_values_and_no_others(name: str, tmp_path: Path) -> None:
    space, right, wrong = SPACES[name]
    root = document(tmp_path, observations=space)
    OPENAPI_30_VALIDATOR.validate(root)
    one = {"$ref": "#/components/schemas/Observation"}
    assert [value for value in right if not is_of(value, one, root)] == []
    assert [value for value in wrong if is_of(value, one, root)] == []
    for value in right:
        for body in ({"observations": value}, {"observations": [value]}, {"inputs": [value]}, {"instances": [value]}):
            assert is_of(body, question(root), root), body
        assert is_of({"instances": [{"observations": value}]}, question(root), root)
        assert is_of([value], question(root), root)
        assert not is_of({"observations": value, "observation": value}, question(root), root)
    assert not is_of({"observations": []}, question(root), root)
    assert is_of(example(describe(space)), one, root)


def test_a_bound_that_differs_by_position_is_told_in_words(tmp_path: Path) -> None:
    observation = document(tmp_path, observations=spaces.MultiDiscrete([2, 5]))["components"]["schemas"]["Observation"]
    assert observation["description"] == "from 0, each below its own of [2, 5]"


def test_memory_and_what_was_before_have_their_shapes(tmp_path: Path) -> None:
    root = document(tmp_path, memory=3, looks_back=True, actions=spaces.Box(-1, 1, (2,), np.float32))
    fine = {"observations": [[0] * 4], "state_in_0": [[0] * 3], "prev_action": [[0, 1]], "prev_reward": [0.5]}
    assert is_of(fine, question(root), root)
    for name, wrong in [("state_in_0", [[0] * 2]), ("prev_action", [[0]]), ("prev_reward", ["0"]), ("is", 0)]:
        assert not is_of({**fine, name: wrong}, question(root), root), name
    assert is_of({**fine, "is_training": {"any": []}, "seq_lens": None}, question(root), root)
    assert root["components"]["schemas"]["Row"]["properties"]["state_out_0"]["maxItems"] == 3


def test_what_the_network_does_not_read_may_be_anything(tmp_path: Path) -> None:
    root = document(tmp_path)
    assert is_of({"observations": [0] * 4, "prev_action": "none", "prev_reward": {}}, question(root), root)
    assert not is_of({"observations": [0] * 4, "state_in_0": [[0]]}, question(root), root)


def test_actions_have_the_bounds_they_are_clipped_to(tmp_path: Path) -> None:
    box = spaces.Box(np.array([-0.4, -1], np.float32), np.array([0.4, 2], np.float32))
    actions = spaces.Tuple([THREE, box])
    row = document(tmp_path, actions=actions)["components"]["schemas"]["Row"]["properties"]
    assert (row["actions_0"]["minimum"], row["actions_0"]["maximum"]) == (0, 2)
    assert row["actions_1"]["items"] == {"type": "number", "minimum": -1.0, "maximum": 2.0}
    free = document(tmp_path, actions=actions, clip_actions=False)["components"]["schemas"]["Row"]["properties"]
    assert free["actions_1"]["items"] == {"type": "number"}


def test_every_media_type_is_documented(tmp_path: Path) -> None:
    operation = document(tmp_path)["paths"]["/invocations"]["post"]
    assert set(operation["requestBody"]["content"]) == {name for each in MEDIA_TYPES for name in each.names}
    assert set(operation["responses"]["200"]["content"]) == {each.name for each in MEDIA_TYPES}
    csv = operation["requestBody"]["content"]["text/csv"]
    assert csv["schema"]["description"].endswith("4 numbers, in this order: observation (4)")
    assert csv["example"] == "0,0,0,0\n"


def test_a_policy_that_cannot_sample_says_so(tmp_path: Path) -> None:
    root = document(tmp_path, action_distribution="None")
    assert is_of({"observations": [0] * 4, "deterministic": True}, question(root), root)
    assert not is_of({"observations": [0] * 4, "deterministic": False}, question(root), root)
