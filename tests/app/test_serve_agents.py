"""A model of several policies, served: by the policy's name, or by the agents' names."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any, Dict, Iterator

import jsonschema
import numpy as np
import pytest
from gym import spaces
from schemathesis.specs.openapi.definitions import OPENAPI_30_VALIDATOR

from rl_app.policy.policy import Policy
from tests.app.made_models import BOX, write_models
from tests.app.serving import Said, Served

HEADER = "X-Amzn-SageMaker-Custom-Attributes"
DICT = spaces.Dict({"at": BOX, "door": spaces.Discrete(2)})
SEEN, FAR = [0.5, -1.0, 2.0, 0.0], {"at": [1.0, 2.0, 3.0, 4.0], "door": 1}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    policies: Dict[str, Dict[str, Any]] = {
        "cars": {"memory": 3},
        "lights": {"observations": DICT, "actions": spaces.MultiDiscrete([2, 3])},
    }
    return write_models(tmp_path_factory.mktemp("several"), {"car_*": "cars", "north": "lights"}, **policies)


@pytest.fixture(scope="module")
def server(model: Path) -> Iterator[Served]:
    with Served(model) as served:
        yield served


def own(model: Path, name: str, observation: Any) -> Dict[str, Any]:
    """What the policy itself answers."""
    policy = Policy.load(model / "policies" / name)
    outputs = policy.bounded(policy.act(policy.flatten([observation])))
    return {key: value.tolist() for key, value in outputs.items()}


def check(said: Said, expected: Dict[str, Any]) -> None:
    assert said.status == 200, said
    check_outputs(said.json["outputs"], expected)


def check_outputs(found: Dict[str, Any], expected: Dict[str, Any]) -> None:
    assert set(found) == set(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-6, err_msg=name)


def test_a_policy_is_asked_by_its_name(model: Path, server: Served) -> None:
    check(server.post({"observations": SEEN, "policy": "cars"}), own(model, "cars", SEEN))
    check(server.post({"inputs": {"observations": [FAR]}, "policy": "lights"}), own(model, "lights", FAR))
    check(server.post({"observations": SEEN}, **{HEADER: "policy=cars"}), own(model, "cars", SEEN))
    check(server.post([FAR], **{HEADER: "trace=7, policy=lights"}), own(model, "lights", FAR))
    said = server.post(b"0.5,-1,2,0\n", "text/csv", **{HEADER: "policy=cars"})
    assert [list(map(int, row)) for row in csv.reader(io.StringIO(said.body.decode()))] == [
        own(model, "cars", SEEN)["actions_0"]
    ]


def test_agents_are_asked_together_each_by_its_policy_with_what_it_remembers(model: Path, server: Served) -> None:
    first = server.post({"observations": {"car_1": SEEN, "north": FAR, "car_2": SEEN}}).json["outputs"]
    assert list(first) == ["car_1", "north", "car_2"]
    check_outputs(first["car_1"], own(model, "cars", SEEN))
    check_outputs(first["north"], own(model, "lights", FAR))
    state = first["car_1"]["state_out_0"]
    later = server.post({"observations": {"car_1": SEEN, "car_2": SEEN}, "state_in_0": {"car_1": state}}).json[
        "outputs"
    ]
    assert later["car_1"]["state_out_0"] == [[1.5] * 3]
    check_outputs(later["car_2"], first["car_2"])


def test_a_large_request_is_answered_alike(model: Path, server: Served) -> None:
    many = server.post({"observations": {"car_1": [SEEN] * 20_000, "north": FAR}}).json["outputs"]
    assert len(many["car_1"]["actions_0"]) == 20_000
    assert set(many["car_1"]["actions_0"]) == set(own(model, "cars", SEEN)["actions_0"])


@pytest.mark.parametrize(
    ("body", "headers", "expected"),
    [
        ({"observations": SEEN}, {}, "policy: is missing; the model has cars, lights: name one by the field policy or"),
        ({"observations": SEEN, "policy": "bus"}, {}, "policy: bus is none of this model's; there are cars, lights"),
        ({"observations": SEEN, "policy": 3}, {}, "policy: expected the name of a policy, got the number 3"),
        ({"observations": SEEN}, {HEADER: "policy=bus"}, "policy: bus is none of this model's"),
        ({"observations": SEEN, "policy": "cars"}, {HEADER: "policy=lights"}, "is cars in the body and lights in the"),
        (
            {"observations": {"bus": SEEN}},
            {},
            "observations.bus: there is no policy for this agent; there are those for",
        ),
        ({"observations": {"car_1": [1]}}, {}, "agent car_1: observations: expected 4 numbers"),
        ({"observations": {}}, {}, "observations: is empty; at least one agent is expected"),
        (
            {"observations": {"car_1": SEEN}, "state_in_0": [[0] * 3]},
            {},
            "state_in_0: expected an object by agent, as the observations are, got a list",
        ),
        (
            {"observations": {"car_1": SEEN}, "state_in_0": {"car_2": [0] * 3}},
            {},
            "state_in_0.car_2: there is no observation of this agent",
        ),
        ({"observations": {"car_1": SEEN}, "what": {"car_1": 1}}, {}, "agent car_1: what: unknown field"),
    ],
)
def test_what_is_wrong_is_a_400_with_one_sentence(server: Served, body: Any, headers: Any, expected: str) -> None:
    said = server.post(body, **headers)
    assert said.status == 400, said
    assert expected in said.json["error"]


def test_actions_by_agent_are_json_alone(server: Served) -> None:
    assert server.post({"observations": {"car_1": SEEN}}, accept="text/csv").status == 406


def test_the_document_describes_every_form(server: Served) -> None:
    document = server.get("/openapi.json").json
    OPENAPI_30_VALIDATOR.validate(document)
    asked = document["paths"]["/invocations"]["post"]
    assert asked["parameters"][0]["name"] == HEADER
    request, answer = (
        jsonschema.Draft7Validator({**document, **content["application/json"]["schema"]})
        for content in (asked["requestBody"]["content"], asked["responses"]["200"]["content"])
    )
    together = {"observations": {"car_1": SEEN, "north": FAR}}
    for body in (together, {"observations": [SEEN], "policy": "cars"}, {"observations": FAR, "policy": "lights"}):
        assert request.is_valid(body), body
        assert answer.is_valid(server.post(body).json)
    example = asked["requestBody"]["content"]["application/json"]["example"]
    assert request.is_valid(example) and server.post(example).status == 200
    for body in ({"observations": [SEEN], "policy": "bus"}, {"observations": {"car_1": "x"}}, {"policy": "cars"}):
        assert not request.is_valid(body), body


def test_each_policy_has_a_page_that_asks_it(model: Path) -> None:
    with Served(model) as served:
        for path, name in (("/", "cars"), ("/policy-lights", "lights")):
            page = served.get(path)
            assert page.status == 200
            assert f'"policy":"{name}"' in page.body.decode().replace(" ", "")
            assert '<a href="policy-cars">cars</a>' in page.body.decode()
        assert 'path="other"' in served.get("/metrics").body.decode()
    assert "Traceback" not in served.stderr
    assert [line["path"] for line in served.log()][:2] == ["/", "/policy-lights"]


def test_the_only_policy_need_not_be_named(tmp_path: Path) -> None:
    model = write_models(tmp_path, {"*": "all"}, all={})
    with Served(model) as served:
        check(served.post({"observations": SEEN}), own(model, "all", SEEN))
        assert set(served.post({"observations": {"x": SEEN, "y": SEEN}}).json["outputs"]) == {"x", "y"}
    assert "serving PPO on Made-v0, policies all, mean reward 123.50 in training, by onnxruntime" in served.stderr


def test_the_only_policys_observation_may_be_an_object(tmp_path: Path) -> None:
    model = write_models(tmp_path, {"*": "all"}, all={"observations": DICT})
    with Served(model) as served:
        check(served.post({"observations": FAR}), own(model, "all", FAR))
        check(served.post({"observations": [FAR]}), own(model, "all", FAR))
        assert set(served.post({"observations": {"x": FAR, "at": FAR}}).json["outputs"]) == {"x", "at"}


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (
            '{"algorithm": "PPO", "policies": [], "policy_mapping": {}}',
            "policies: must be a list of names, and is empty",
        ),
        ('{"algorithm": "PPO", "policies": ["../a"], "policy_mapping": {}}', "policies[0]: must be a policy's name"),
        ('{"algorithm": "PPO", "policies": ["a"], "policy_mapping": {"x": "b"}}', "policy_mapping.x: must be one of a"),
        ('{"algorithm": "PPO", "policies": ["a"], "policy_mapping": {}}', "policies/a/policy.json: no such file"),
    ],
)
def test_a_broken_model_is_refused_by_its_file(facts: str, expected: str, tmp_path: Path) -> None:
    from rl_app.errors import UserError
    from rl_app.policy.policies import model_of

    (tmp_path / "policy.json").write_text(facts)
    with pytest.raises(UserError) as caught:
        model_of(tmp_path)
    assert expected in str(caught.value)
