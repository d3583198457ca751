"""The server as a client sees it: what it takes, what it answers, what it refuses, and how it ends."""

from __future__ import annotations

import io
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Dict

import numpy as np
import pytest
from gym import spaces

from rl_app.policies import Policy
from tests.app.made_models import BOX, logits, write_model
from tests.app.served import JSON, command, environment, receive_all, serving
from tests.waiting import until

CSV, LINES, NPY = "text/csv", "application/jsonlines", "application/x-npy"
ROWS = [[1.0, 2.0, 3.0, 4.0], [-1.0, 0.5, 2.0, -3.0], [0.0, 0.0, -1.0, 2.5]]
NESTED = spaces.Dict(
    {"place": spaces.Box(-1, 1, (2, 3), np.float32), "gear": spaces.Discrete(4), "doors": spaces.MultiBinary(2)}
)
ACTIONS = spaces.Tuple([spaces.Discrete(3), spaces.Box(-1, 1, (2,), np.float32), spaces.MultiDiscrete([2, 3])])


def npy(array: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def pickled() -> bytes:
    file = io.BytesIO()
    np.save(file, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    return file.getvalue()


@pytest.fixture(scope="module")
def box(tmp_path_factory):
    with serving(write_model(tmp_path_factory.mktemp("box") / "model")) as served:
        yield served
        assert served.errors() == ""


@pytest.fixture(scope="module")
def expected(box, tmp_path_factory):
    """The actions of ROWS, computed without the program."""
    model = write_model(tmp_path_factory.mktemp("expected") / "model")
    actions = logits(model, ROWS).argmax(axis=1).tolist()
    assert len(set(actions)) > 1
    return actions


@pytest.fixture(scope="module")
def nested(tmp_path_factory):
    with serving(write_model(tmp_path_factory.mktemp("nested") / "model", NESTED, ACTIONS)) as served:
        yield served
        assert served.errors() == ""


@pytest.fixture(scope="module")
def recurrent(tmp_path_factory):
    with serving(write_model(tmp_path_factory.mktemp("recurrent") / "model", memory=3)) as served:
        yield served
        assert served.errors() == ""


@pytest.fixture(scope="module")
def continuous(tmp_path_factory):
    """Takes a state of five, answers with two numbers from -0.5 to 0.25."""
    actions = spaces.Box(-0.5, 0.25, (2,), np.float32)
    with serving(write_model(tmp_path_factory.mktemp("continuous") / "model", spaces.Discrete(5), actions)) as served:
        yield served
        assert served.errors() == ""


# ---- what it takes

NOTEBOOK = {"prev_action": [0, 0], "is_training": False, "prev_reward": -1, "seq_lens": -1}
FORMS = {
    "the notebook's": (JSON, {"inputs": {"observations": ROWS, **NOTEBOOK}}),
    "inputs, bare": (JSON, {"inputs": ROWS}),
    "with a signature's name": (JSON, {"signature_name": "serving_default", "inputs": ROWS}),
    "observations": (JSON, {"observations": ROWS}),
    "observations with what is ignored": (JSON, {"observations": ROWS, **NOTEBOOK}),
    "a list": (JSON, ROWS),
    "integers": (JSON, json.dumps(ROWS).replace(".0", "")),
    "space around": (JSON, f"\n\t {json.dumps(ROWS)} \r\n"),
    "a parameter": (f"{JSON}; charset=utf-8", ROWS),
    "capitals": ("Application/JSON", ROWS),
    "no content type": (None, ROWS),
}
TABLES = {
    "CSV": (CSV, "\n".join(",".join(map(str, row)) for row in ROWS)),
    "CSV of Windows": (f"{CSV}; charset=utf-8", "\r\n".join(", ".join(map(str, row)) for row in ROWS) + "\r\n\r\n"),
}
ARRAYS = {
    "float64": npy(np.array(ROWS)),
    "float32": npy(np.array(ROWS, np.float32)),
    "big-endian": npy(np.array(ROWS, ">f8")),
    "columns first": npy(np.asfortranarray(ROWS)),
}
INSTANCES = {
    "instances": (JSON, {"instances": ROWS}),
    "instances, named": (JSON, {"instances": [{"observations": row, "prev_reward": -1} for row in ROWS]}),
}
LINED = {
    "lines": "\n".join(json.dumps(row) for row in ROWS),
    "lines, named": "\n".join(json.dumps({"observations": row}) for row in ROWS) + "\n\n",
}


@pytest.mark.parametrize(("content_type", "body"), FORMS.values(), ids=FORMS)
def test_json_is_answered_by_name(box, expected, content_type, body):
    answer = box.ask(body, content_type)
    assert (answer.status, answer.headers["content-type"]) == (200, JSON)
    assert list(answer.json) == ["outputs"]
    outputs = answer.json["outputs"]
    assert outputs["actions_0"] == expected
    assert set(outputs) == {"actions_0", "action_dist_inputs", "action_logp", "action_prob", "vf_preds"}
    np.testing.assert_allclose(outputs["vf_preds"], np.max(outputs["action_dist_inputs"], axis=1), rtol=1e-6)


@pytest.mark.parametrize(("content_type", "body"), INSTANCES.values(), ids=INSTANCES)
def test_instances_are_answered_by_row(box, expected, content_type, body):
    answer = box.ask(body, content_type)
    assert (answer.status, list(answer.json)) == (200, ["predictions"])
    rows = answer.json["predictions"]
    assert [row["actions_0"] for row in rows] == expected
    assert len(rows[0]["action_dist_inputs"]) == 3


@pytest.mark.parametrize("body", LINED.values(), ids=LINED)
def test_lines_are_answered_by_lines(box, expected, body):
    answer = box.ask(body, LINES)
    assert (answer.status, answer.headers["content-type"]) == (200, LINES)
    assert [json.loads(line)["actions_0"] for line in answer.body.splitlines()] == expected


@pytest.mark.parametrize(("content_type", "body"), TABLES.values(), ids=TABLES)
def test_csv_is_answered_with_the_actions(box, expected, content_type, body):
    answer = box.ask(body, content_type)
    assert (answer.status, answer.headers["content-type"]) == (200, CSV)
    assert answer.body.decode().splitlines() == [str(action) for action in expected]


@pytest.mark.parametrize("body", ARRAYS.values(), ids=ARRAYS)
def test_npy_is_answered_with_the_actions(box, expected, body):
    answer = box.ask(body, NPY)
    assert (answer.status, answer.headers["content-type"]) == (200, NPY)
    assert np.load(io.BytesIO(answer.body), allow_pickle=False).tolist() == expected


@pytest.mark.parametrize(
    "body", [ROWS[1], {"observations": ROWS[1]}, {"inputs": {"observations": ROWS[1]}}, {"inputs": ROWS[1]}]
)
def test_one_observation_is_answered_with_one_action(box, expected, body):
    outputs = box.ask(body).json["outputs"]
    assert outputs["actions_0"] == expected[1]
    assert np.shape(outputs["action_dist_inputs"]) == (3,)


def test_one_observation_as_npy_is_answered_with_one_action(box, expected):
    answer = np.load(io.BytesIO(box.ask(npy(np.array(ROWS[1])), NPY).body))
    assert (answer.shape, answer.item()) == ((), expected[1])


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("*/*", JSON),
        ("text/*, application/json;q=0.5", CSV),
        ("application/json;q=0.2, application/x-npy;q=0.3", NPY),
        ("application/jsonlines", LINES),
        ("text/csv;q=0, */*", JSON),
        ("image/png, TEXT/CSV", CSV),
        ("", JSON),
    ],
)
def test_accept_is_honoured(box, accept, content_type):
    answer = box.ask(ROWS, accept=accept)
    assert (answer.status, answer.headers["content-type"]) == (200, content_type)


def test_a_large_batch_is_answered_whole(box):
    rows = np.random.default_rng(0).uniform(-10, 10, (5000, 4))
    outputs = box.ask({"observations": rows.tolist()}).json["outputs"]
    singles = [box.ask(row.tolist()).json["outputs"]["actions_0"] for row in rows[:50]]
    assert outputs["actions_0"][:50] == singles
    assert len(outputs["vf_preds"]) == 5000


def test_answers_find_their_questions(box, tmp_path):
    """Requests at the same time share a run of the network, and each gets its own row of it."""
    rows = np.random.default_rng(1).uniform(-10, 10, (400, 4))
    wanted = logits(write_model(tmp_path / "model"), rows)
    runs, requests = box.metric("serve_batch_observations_count"), box.metric("serve_request_observations_count")
    with ThreadPoolExecutor(32) as clients:
        answers = list(clients.map(lambda row: box.ask({"observations": [row]}), rows.tolist()))
    given = [answer.json["outputs"]["action_dist_inputs"][0] for answer in answers]
    np.testing.assert_allclose(given, wanted, rtol=1e-4, atol=1e-4)
    assert box.metric("serve_request_observations_count") - requests == 400
    assert box.metric("serve_batch_observations_count") - runs < 400


# ---- spaces

PLACE = [[0.5, -0.25, 0.125], [1, -1, 0]]
OBSERVATION = {"place": PLACE, "gear": 2, "doors": [0, 1]}
# Keys in their order, the gear one-hot
FLAT = [0, 1, 0, 0, 1, 0, 0.5, -0.25, 0.125, 1, -1, 0]
NESTED_FORMS = {
    "one": (JSON, OBSERVATION, False),
    "one, named": (JSON, {"observations": OBSERVATION}, False),
    "one in inputs": (JSON, {"inputs": OBSERVATION}, False),
    "one flat": (JSON, FLAT, False),
    "batch": (JSON, [OBSERVATION], True),
    "batch flat": (JSON, {"observations": [FLAT]}, True),
    "batch in inputs": (JSON, {"inputs": {"observations": [OBSERVATION]}}, True),
}


@pytest.mark.parametrize(("content_type", "body", "batched"), NESTED_FORMS.values(), ids=NESTED_FORMS)
def test_a_dict_is_taken_raw_and_flat(nested, content_type, body, batched):
    outputs = nested.ask(body, content_type).json["outputs"]
    known = nested.ask({"observations": FLAT}).json["outputs"]
    assert outputs == ({name: [value] for name, value in known.items()} if batched else known)
    assert isinstance(known["actions_0"], int)
    assert len(known["actions_1"]) == len(known["actions_2"]) == 2
    assert np.abs(known["actions_1"]).max() <= 1


def test_a_tuple_of_actions_is_a_row_of_numbers(nested):
    outputs = nested.ask({"instances": [OBSERVATION, {"observations": OBSERVATION}["observations"]]}).json
    one = outputs["predictions"][0]
    numbers = [one["actions_0"], *one["actions_1"], *one["actions_2"]]
    csv = nested.ask(",".join(map(str, FLAT)), CSV).body.decode()
    assert [float(cell) for cell in csv.split(",")] == pytest.approx(numbers)
    assert csv.split(",")[0] == str(one["actions_0"])
    array = np.load(io.BytesIO(nested.ask(npy(np.array([FLAT, FLAT])), NPY).body))
    np.testing.assert_allclose(array, [numbers, numbers], rtol=1e-6)


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (JSON, [3, 4]),
        (JSON, {"observations": [[0, 0, 0, 1, 0], [0, 0, 0, 0, 1]]}),
        (JSON, {"instances": [{"observations": 3}, {"observations": 4}]}),
        (CSV, "3\n4"),
        (CSV, "0,0,0,1,0\n0,0,0,0,1"),
        (NPY, npy(np.array([3, 4]))),
        (NPY, npy(np.array([[3.0], [4.0]]))),
    ],
)
def test_a_state_is_taken_as_a_number_and_one_hot(continuous, content_type, body):
    answer = continuous.ask(body, content_type, accept=CSV)
    one_by_one = [continuous.ask(str(state), accept=CSV).body.decode() for state in (3, 4)]
    assert answer.body.decode() == "".join(one_by_one)


def test_actions_are_clipped_to_their_space(continuous):
    outputs = [continuous.ask([state]).json["outputs"] for state in range(5)]
    actions = np.array([each["actions_0"][0] for each in outputs])
    unclipped = np.array([each["action_dist_inputs"][0][:2] for each in outputs])
    np.testing.assert_array_equal(actions, np.clip(unclipped, -0.5, 0.25))
    assert (unclipped > 0.25).any()
    assert (unclipped < -0.5).any()


# ---- sampling and memory


def test_sampling_follows_the_seed_and_the_probabilities(box):
    body = {"observations": [[0.1, 0.1, 0.1, 0.1]] * 3000, "deterministic": False}
    first, second, other = (box.ask({**body, "seed": seed}).json["outputs"] for seed in (1, 1, 2))
    assert first == second
    assert first["actions_0"] != other["actions_0"]
    free = [box.ask(body).json["outputs"]["actions_0"] for _ in range(2)]
    assert free[0] != free[1]
    weights = np.exp(first["action_dist_inputs"][0])
    shares = np.bincount(first["actions_0"], minlength=3) / 3000
    np.testing.assert_allclose(shares, weights / weights.sum(), atol=0.05)
    np.testing.assert_allclose(first["action_prob"][0], (weights / weights.sum())[first["actions_0"][0]], rtol=1e-4)


def test_a_seed_samples_the_same_in_any_company(box):
    body = {"observations": [ROWS[0]] * 20, "deterministic": False, "seed": 5}
    alone = box.ask(body).json["outputs"]["actions_0"]
    with ThreadPoolExecutor(16) as clients:
        crowd = list(clients.map(lambda _: box.ask(body).json["outputs"]["actions_0"], range(64)))
    assert crowd == [alone] * 64


def test_values_are_not_sampled(tmp_path):
    model = write_model(tmp_path / "model", algorithm="DQN", outputs=["actions_0", "action_dist_inputs", "q_values"])
    with serving(model) as served:
        refused = served.ask({"observations": ROWS, "deterministic": False})
        assert (refused.status, refused.error) == (
            400,
            "deterministic: DQN has no distribution to sample an action from",
        )
        assert served.ask({"observations": ROWS, "deterministic": True}).status == 200


def test_memory_is_carried_by_the_client(recurrent):
    state: Dict[str, Any] = {}
    seen = []
    for _ in range(3):
        outputs = recurrent.ask({"observations": ROWS[0], **state}).json["outputs"]
        state = {"state_in_0": outputs["state_out_0"]}
        seen.append(outputs)
    assert [each["state_out_0"] for each in seen] == [[1.0] * 3, [1.5] * 3, [1.75] * 3]
    assert seen[0]["action_dist_inputs"] != seen[1]["action_dist_inputs"]


def test_memory_of_a_batch_is_by_row(recurrent):
    rows = [{"observations": ROWS[0], "state_in_0": [float(i)] * 3} for i in range(4)]
    by_row = recurrent.ask({"instances": rows}).json["predictions"]
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    by_name = recurrent.ask({"inputs": columns}).json["outputs"]
    assert [row["state_out_0"] for row in by_row] == by_name["state_out_0"] == [[1 + i / 2] * 3 for i in range(4)]


def test_requests_with_and_without_memory_share_a_run(recurrent):
    given, none = {"observations": ROWS[0], "state_in_0": [8.0] * 3}, {"observations": ROWS[0]}
    with ThreadPoolExecutor(16) as clients:
        answers = list(clients.map(lambda i: recurrent.ask((given, none)[i % 2]).json["outputs"], range(64)))
    assert [each["state_out_0"][0] for each in answers] == [5.0, 1.0] * 32


# ---- what it refuses

DEEP = b'{"observations": ' + b"[" * 50_000
BAD = {
    "no JSON": (JSON, "{", 400, ["the body", "truncated"]),
    "empty": (JSON, "", 400, ["observations", "4 numbers"]),
    "no object": (JSON, "null", 400, ["observations", "4 numbers"]),
    "no UTF-8": (JSON, b'{"\xff": 1}', 400, ["the body", "utf-8"]),
    "two documents": (JSON, "[1,2,3,4][1,2,3,4]", 400, ["trailing"]),
    "nested deep": (JSON, DEEP, 400, ["nested too deep"]),
    "unknown field": (JSON, {"obs": ROWS}, 400, ["obs: no such field", "observations"]),
    "unknown field inside": (JSON, {"inputs": {"observations": ROWS, "state": 1}}, 400, ["inputs.state"]),
    "no field": (JSON, {}, 400, ["observations: missing"]),
    "two containers": (JSON, {"inputs": ROWS, "instances": ROWS}, 400, ["instances", "inputs"]),
    "a column outside": (JSON, {"inputs": ROWS, "seq_lens": 1}, 400, ["seq_lens", "beside inputs"]),
    "too short": (JSON, [[1, 2, 3]], 400, ["observations[0]", "length >= 4", "4 numbers"]),
    "too long": (JSON, {"observations": [ROWS[0], [1, 2, 3, 4, 5]]}, 400, ["observations[1]", "length <= 4"]),
    "too deep": (JSON, {"observations": [[ROWS[0]]]}, 400, ["observations[0][0]", "`float`", "array"]),
    "text": (JSON, {"observations": [[1, 2, 3, "4"]]}, 400, ["observations[0][3]", "`float`, got `str`"]),
    "true": (JSON, {"observations": [[1, 2, 3, True]]}, 400, ["observations[0][3]", "got `bool`"]),
    "null": (JSON, {"observations": [[1, 2, 3, None]]}, 400, ["observations[0][3]", "got `null`"]),
    "NaN": (JSON, "[[1, 2, 3, NaN]]", 400, ["observations", "invalid character"]),
    "infinity": (JSON, "[[1, 2, 3, 1e999]]", 400, ["observations[0][3]", "out of range"]),
    "beyond 32 bits": (JSON, "[[1, 2, 3, 1e39]]", 400, ["observations", "finite"]),
    "empty batch": (JSON, {"observations": []}, 400, ["observations", "length >= 1"]),
    "empty instances": (JSON, {"instances": []}, 400, ["instances", "length >= 1"]),
    "instances, one alone": (JSON, {"instances": ROWS[0]}, 400, ["instances", "a list is expected"]),
    "instances that differ": (JSON, {"instances": [{"observations": ROWS[0]}, {}]}, 400, ["instances[1]", "first"]),
    "instances mixed": (JSON, {"instances": [{"observations": ROWS[0]}, ROWS[0]]}, 400, ["instances[1]", "object"]),
    "deterministic, text": (JSON, {"observations": ROWS, "deterministic": "no"}, 400, ["deterministic", "`bool`"]),
    "seed, negative": (JSON, {"observations": ROWS, "seed": -1}, 400, ["seed", ">= 0"]),
    "another signature": (JSON, {"inputs": ROWS, "signature_name": "train"}, 400, ["signature_name"]),
    "CSV with a header": (CSV, "a,b,c,d\n1,2,3,4", 400, ["line 1, column 1", "'a'", "header"]),
    "CSV ragged": (CSV, "1,2,3,4\n1,2,3", 400, ["line 2", "4 numbers", "not 3"]),
    "CSV narrow": (CSV, "1,2,3\n4,5,6", 400, ["4 numbers", "[2, 3]"]),
    "CSV with NaN": (CSV, "1,2,3,nan", 400, ["finite"]),
    "CSV empty": (CSV, "", 400, ["rows of 4 numbers"]),
    "CSV no UTF-8": (CSV, b"1,2,3,\xff", 400, ["UTF-8 at byte 6"]),
    "lines, none": (LINES, "\n\n", 400, ["a line for each observation"]),
    "lines, one bad": (LINES, "[1,2,3,4]\n[1,2]", 400, ["observations[1]", "length >= 4"]),
    "npy of objects": (NPY, pickled(), 400, ["floats or integers"]),
    "npy of complex": (NPY, npy(np.array([1j, 2])), 400, ["floats or integers"]),
    "npy of text": (NPY, npy(np.array(["a"])), 400, ["floats or integers"]),
    "npy of truths": (NPY, npy(np.array([[True] * 4])), 400, ["floats or integers"]),
    "npy narrow": (NPY, npy(np.zeros((2, 3))), 400, ["4 numbers", "[2, 3]"]),
    "npy empty": (NPY, npy(np.zeros((0, 4))), 400, ["4 numbers", "[0, 4]"]),
    "npy cut short": (NPY, npy(np.zeros((2, 4)))[:-1], 400, ["63 bytes"]),
    "npy with NaN": (NPY, npy(np.full((1, 4), np.nan)), 400, ["finite"]),
    "npy, none": (NPY, b"PK\x03\x04", 400, ["numpy.save"]),
    "npy that claims a lot": (
        NPY,
        npy(np.zeros((1, 4))).replace(b"(1, 4)", b"(9**9,)"),
        400,
        ["floats or integers"],
    ),
    "npy with a huge header": (NPY, b"\x93NUMPY\x02\x00\xff\xff\xff\x7f{'descr'" + b" " * 9000, 400, ["the header"]),
    "a form": ("application/x-www-form-urlencoded", "a=1", 415, ["application/x-www-form-urlencoded", CSV]),
    "octets": ("application/octet-stream", b"1", 415, ["application/octet-stream", JSON]),
}


@pytest.mark.parametrize(("content_type", "body", "status", "said"), BAD.values(), ids=BAD)
def test_a_bad_request_is_told_what_is_wrong(box, content_type, body, status, said):
    refused = box.ask(body, content_type)
    assert refused.status == status, refused
    assert all(part in refused.error for part in said), refused.error
    assert len(refused.error) <= 500
    assert box.get("/ping").status == 200


@pytest.mark.parametrize(
    ("method", "path", "headers", "status", "said"),
    [
        ("GET", "/invocations", {}, 405, "/invocations takes POST, not GET"),
        ("DELETE", "/ping", {}, 405, "/ping takes GET, HEAD, not DELETE"),
        ("OPTIONS", "/invocations", {}, 405, "not OPTIONS"),
        ("GET", "/models", {}, 404, "/models: no such path"),
        ("POST", "/invocations/", {}, 404, "no such path"),
        ("POST", "/invocations", {"accept": "image/png"}, 406, "Accept image/png"),
        ("POST", "/invocations", {"accept": "text/csv;q=0"}, 406, "expected is one of"),
        ("POST", "/invocations", {"content_encoding": "gzip"}, 415, "Content-Encoding"),
    ],
)
def test_a_request_to_nowhere_is_told_so(box, method, path, headers, status, said):
    refused = box.ask(json.dumps(ROWS), JSON, path, method, **headers)
    assert refused.status == status
    assert said in refused.error
    assert ("allow" in refused.headers) == (status == 405)


NESTED_BAD = {
    "a key less": ({"place": PLACE, "gear": 2}, ["place, gear", "no such field"]),
    "a key more": ([{**OBSERVATION, "speed": 1}], ["observations[0]", "speed"]),
    "out of range": ([{**OBSERVATION, "gear": 4}], ["observations[0].gear", "<= 3"]),
    "no integer": ([{**OBSERVATION, "gear": 1.5}], ["observations[0].gear", "`int`, got `float`"]),
    "wrong shape": ([{**OBSERVATION, "place": [0] * 6}], ["observations[0].place"]),
    "flat, too short": ([FLAT[1:]], ["observations[0]"]),
}


@pytest.mark.parametrize(("body", "said"), NESTED_BAD.values(), ids=NESTED_BAD)
def test_a_bad_observation_of_a_dict_is_told_what_is_wrong(nested, body, said):
    refused = nested.ask(body)
    assert refused.status == 400
    for part in said:
        assert part in refused.error


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"observations": ROWS, "state_in_0": [[1.0] * 3]}, "state_in_0: a list of 3 is expected"),
        ({"observations": ROWS[0], "state_in_0": [[1.0] * 3]}, "state_in_0: one, in no list, is expected"),
        ({"observations": ROWS[0], "state_in_0": [1.0]}, "state_in_0: expected `array` of length >= 3"),
        ({"observations": ROWS[0], "state_in_1": [1.0] * 3}, "state_in_1: no such field"),
        ({"instances": [{"observations": ROWS[0], "state_in_0": 1}]}, "state_in_0[0]"),
        ({"observations": ROWS[0], "state_in_0": [3e38] * 3}, "no number"),
    ],
)
def test_a_bad_state_is_told_what_is_wrong(recurrent, body, said):
    refused = recurrent.ask(body)
    assert refused.status == 400
    assert said in refused.error


def test_a_query_that_fails_takes_no_other_along(box):
    def asked(i: int) -> int:
        return box.ask("[[1, 2, 3, 1e39]]" if i % 4 == 0 else {"observations": [ROWS[0]]}).status

    with ThreadPoolExecutor(16) as clients:
        assert list(clients.map(asked, range(64))) == [400, 200, 200, 200] * 16


# ---- HTTP


def post(
    body: bytes = b"[[1,2,3,4]]", *headers: bytes, path: bytes = b"/invocations", version: bytes = b"1.1"
) -> bytes:
    given = [b"Host: x", b"Content-Type: application/json", b"Content-Length: %d" % len(body), *headers]
    return b"POST %b HTTP/%b\r\n%b\r\n\r\n%b" % (path, version, b"\r\n".join(given), body)


def test_requests_of_one_connection_are_answered_in_order(box, expected):
    bodies = [json.dumps([row]).encode() for row in ROWS]
    pipelined = b"".join(post(body) for body in bodies * 100) + post(b"[", b"Connection: close")
    answers = box.send(pipelined)
    actions = [int(part[1:2]) for part in answers.split(b'"actions_0":')[1:]]
    assert actions == expected * 100
    assert answers.count(b"HTTP/1.1 200 OK") == 300
    assert answers.count(b"HTTP/1.1 400 Bad Request") == 1


def test_a_thousand_pings_of_one_connection_are_answered(box):
    ping, last = b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n", b"GET /ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    assert box.send(ping * 999 + last).count(b"HTTP/1.1 200 OK") == 1000


@pytest.mark.parametrize(
    ("request_", "kept"),
    [
        (post(), True),
        (post(b"[[1,2,3,4]]", b"Connection: close"), False),
        (post(version=b"1.0"), False),
        (post(b"[[1,2,3,4]]", b"Connection: keep-alive", version=b"1.0"), True),
        (post(path=b"http://x:8080/invocations?a=b"), True),
        (post(path=b"/invocations?a=b"), True),
        (post(b"[[1,2,3,4]]", b"Upgrade: h2c", b"Connection: Upgrade"), False),
        (post(b"[[1,2,3,4]]", b"X-Amzn-SageMaker-Custom-Attributes: a=b", b"X-Unknown: \xff"), True),
        (b"HEAD /ping HTTP/1.1\r\nHost: x\r\n\r\n", True),
        (post().replace(b"Content-Length: 11", b"Transfer-Encoding: chunked").replace(b"[[1", b"4\r\n[[1,\r\n7\r\n")[:-7]
         + b"2,3,4]]\r\n0\r\n\r\n", True),
    ],
    ids=["1.1", "close", "1.0", "1.0 kept", "absolute", "query", "upgrade", "headers", "head", "chunked"],
)  # fmt: skip
def test_http_is_spoken(box, request_, kept):
    with box.connect() as client:
        client.sendall(request_)
        head = client.recv(65536)
        assert head.startswith(b"HTTP/1.1 200 OK"), head
        assert (b"connection: close" in head) is not kept
        if kept:
            client.sendall(b"GET /ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert receive_all(client).startswith(b"HTTP/1.1 200 OK" if kept else b"")


def test_a_body_that_is_asked_for_is_sent_on(box):
    head, _, body = post(b"[[1,2,3,4]]", b"Expect: 100-continue").partition(b"\r\n\r\n")
    with box.connect() as client:
        client.sendall(head + b"\r\n\r\n")
        assert client.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(body)
        assert client.recv(65536).startswith(b"HTTP/1.1 200 OK")


def test_a_client_that_sends_no_more_is_answered(box):
    with box.connect() as client:
        client.sendall(post())
        client.shutdown(socket.SHUT_WR)
        assert receive_all(client).startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        post(b"[]", b"Content-Length: 3"),
        post(b"[]", b"Transfer-Encoding: chunked"),
        b"POST /invocations HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /invocations HTTP/1.1\r\nContent-Length: 1e3\r\n\r\n",
        b"GET /ping HTTP/1.1\r\nHost: x\r\nbad header\r\n\r\n",
        b"POST /invocations HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_what_is_no_http_is_refused_and_closed(box, garbage):
    answer = box.send(garbage)
    assert answer.startswith(b"HTTP/1.1 400 Bad Request"), answer
    assert b"this is no HTTP/1.1 request" in answer


# ---- limits


@pytest.fixture(scope="module")
def limited(tmp_path_factory):
    settings = {
        "SAGEMAKER_MAX_PAYLOAD_IN_MB": 0.01,
        "SERVE_HEADER_SECONDS": 1,
        "SERVE_BODY_SECONDS": 1.5,
        "SERVE_IDLE_SECONDS": 2,
        "SERVE_CONNECTIONS": 20,
    }
    with serving(write_model(tmp_path_factory.mktemp("limited") / "model"), **settings) as served:
        yield served
        assert served.errors() == ""


LIMIT = int(0.01 * 1024 * 1024)


def test_a_body_up_to_the_limit_is_taken(limited):
    assert limited.ask(b" " * (LIMIT - 11) + b"[[1,2,3,4]]").status == 200
    refused = limited.ask(b" " * (LIMIT - 10) + b"[[1,2,3,4]]")
    assert (refused.status, refused.error) == (413, f"the body is larger than the limit of {LIMIT} bytes")


def test_a_body_over_the_limit_is_refused_before_it_is_sent(limited):
    with limited.connect() as client:
        client.sendall(post(b"", b"Expect: 100-continue").replace(b"Length: 0", b"Length: 99999999999999999999"))
        assert client.recv(65536).startswith(b"HTTP/1.1 413 ")


def test_a_body_over_the_limit_is_refused_while_it_is_sent(limited):
    with limited.connect() as client:
        client.sendall(b"POST /invocations HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(LIMIT // 1000 + 1):
            client.sendall(b"3e8\r\n" + b" " * 1000 + b"\r\n")
        assert client.recv(65536).startswith(b"HTTP/1.1 413 ")


def test_headers_over_the_limit_are_refused(limited):
    with limited.connect() as client:
        client.sendall(b"GET /ping HTTP/1.1\r\n")
        for i in range(200):
            try:
                client.sendall(b"X-%d: %b\r\n" % (i, b"x" * 500))
            except OSError:
                break
        assert client.recv(65536).startswith(b"HTTP/1.1 431 ")


def dribble(client: socket.socket, data: bytes, deadline_s: float = 10.0) -> float:
    """Sends a byte at a time until the server closes or the deadline passes; returns the seconds."""
    started = time.monotonic()
    client.settimeout(0.1)
    for i in range(len(data)):
        try:
            client.sendall(data[i : i + 1])
            if client.recv(65536) == b"":
                return time.monotonic() - started
        except socket.timeout:
            continue
        except OSError:
            return time.monotonic() - started
        if time.monotonic() - started > deadline_s:
            break
    raise AssertionError(f"still open after {time.monotonic() - started:.1f} s")


@pytest.mark.parametrize(
    ("start", "rest", "seconds"),
    [(b"GET /ping HTTP/1.1\r\nX: ", b"x" * 200, 1.0), (post(b" " * 500)[:-400], b" " * 200, 1.5)],
    ids=["headers", "body"],
)
def test_a_slow_client_is_told_and_closed_and_holds_nobody_up(limited, start, rest, seconds):
    with limited.connect() as client:
        client.sendall(start)
        slow = threading.Thread(target=lambda: took.append(dribble(client, rest)))
        took: list = []
        slow.start()
        while slow.is_alive():
            asked = time.monotonic()
            assert limited.get("/ping").status == 200
            assert time.monotonic() - asked < 1.0
        slow.join()
    assert seconds <= took[0] < seconds + 4
    until(lambda: any(line.get("status") == 408 for line in limited.log()))


def test_a_client_that_stops_sending_reads_why(limited):
    with limited.connect() as client:
        client.sendall(post(b" " * 500)[:-400])
        answer = receive_all(client)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"the body did not arrive within 1.5 s" in answer


def test_an_idle_connection_is_closed_in_silence(limited):
    with limited.connect() as client:
        started = time.monotonic()
        assert receive_all(client) == b""
        assert 1.5 < time.monotonic() - started < 4


def test_a_client_that_does_not_read_is_cut_off(limited):
    """It asks for more pages than the buffers between the two hold; the server neither waits nor keeps them."""
    with limited.connect() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(0.5)
        asked = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 100
        deadline = time.monotonic() + 20
        with pytest.raises(OSError):  # noqa: PT011  # the kernel's choice: reset or broken pipe
            while time.monotonic() < deadline:
                try:
                    client.sendall(asked)
                except socket.timeout:
                    assert limited.get("/ping").status == 200
    assert limited.metric("process_resident_memory_bytes") < 300e6


def test_a_connection_too_many_is_told_so(limited):
    until(lambda: limited.metric("serve_connections") <= 1)
    clients = [limited.connect() for _ in range(20)]
    try:
        answer = limited.send(b"")
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"all 20 connections are taken" in answer
    finally:
        for client in clients:
            client.close()
    until(lambda: limited.get("/ping").status == 200)


# ---- start and end


def test_ping_is_empty_and_metrics_count(box):
    assert box.get("/ping")._replace(headers={}) == (200, {}, b"")
    before = box.metric('serve_requests_total{path="/invocations",status="400"}')
    box.ask("{")
    assert box.metric('serve_requests_total{path="/invocations",status="400"}') == before + 1
    assert box.metric("process_resident_memory_bytes") < 300e6
    box.get("/any/path/at/all")
    assert box.metric('serve_requests_total{path="other",status="404"}') >= 1
    assert b"/any" not in box.get("/metrics").body


def test_the_log_has_a_line_a_request_without_its_body(box):
    box.ask({"observations": [[77.0, 1, 2, 3]]}, path='/in"voc\u00e4tions'.encode().decode("latin-1"))
    box.ask({"observations": [[77.0, 1, 2, 3]]})
    until(lambda: box.log()[-1].get("path") == "/invocations")
    nowhere, asked = box.log()[-2:]
    assert (nowhere["status"], nowhere["path"][:4]) == (404, '/in"')
    assert {name: asked[name] for name in ("method", "status", "client", "observations")} == {
        "method": "POST",
        "status": 200,
        "client": "127.0.0.1",
        "observations": 1,
    }
    assert asked["bytes_in"] == 36
    assert asked["bytes_out"] > 50
    assert 0 < asked["ms"] < 5000
    assert abs(asked["time"] - time.time()) < 60
    assert all("77" not in json.dumps({**line, "time": 0, "ms": 0}) for line in box.log()[-2:])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_server_ends_at_once(tmp_path, number):
    with serving(write_model(tmp_path / "model")) as served, served.connect() as idle:
        idle.sendall(b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n")
        assert idle.recv(65536).startswith(b"HTTP/1.1 200")
        assert served.stop(number) < 5
        assert receive_all(idle) == b""
        assert [line["event"] for line in served.log() if "event" in line] == ["serving", "draining", "stopped"]


def test_what_is_in_flight_is_answered_and_nothing_new(tmp_path):
    with serving(write_model(tmp_path / "model")) as served, served.connect() as client:
        client.sendall(post()[:-4])
        until(lambda: served.metric("serve_connections") == 2)
        served.process.send_signal(signal.SIGTERM)
        until(lambda: refuses(served))
        client.sendall(post()[-4:])
        answer = receive_all(client)
        assert answer.startswith(b"HTTP/1.1 200 OK")
        assert b"connection: close" in answer
        assert served.process.wait(timeout=5) == 0


def refuses(served: Any) -> bool:
    try:
        served.connect().close()
    except ConnectionRefusedError:
        return True
    return False


def test_a_client_that_never_ends_does_not_stop_the_end(tmp_path):
    with serving(write_model(tmp_path / "model"), SERVE_DRAIN_SECONDS=1) as served, served.connect() as client:
        client.sendall(post()[:-4])
        until(lambda: served.metric("serve_connections") == 2)
        assert 1 <= served.stop() < 4
        assert receive_all(client) == b""


def refused_start(model: Any, **settings: Any) -> str:
    """The one line that a server says which does not start."""
    ran = subprocess.run(
        command(),
        env=environment(model, **settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        timeout=60,
        text=True,
    )
    assert (ran.returncode, ran.stdout) == (2, ""), ran
    (line,) = ran.stderr.splitlines()
    return line


def test_a_missing_model_ends_the_start_with_one_line(tmp_path):
    assert f"{tmp_path / 'model' / 'policy.json'}: no such file" in refused_start(tmp_path / "model")


@pytest.mark.parametrize("file", ["policy.json", "policy.onnx"])
def test_a_corrupt_model_ends_the_start_with_one_line(tmp_path, file):
    model = write_model(tmp_path / "model")
    (model / file).write_bytes((model / file).read_bytes()[: (model / file).stat().st_size // 2])
    assert f"{model / file}: cannot be" in refused_start(model)


def test_a_model_without_a_network_ends_the_start_with_one_line(tmp_path):
    model = write_model(tmp_path / "model")
    (model / "policy.onnx").unlink()
    assert "policy.onnx: no such file, and no " in refused_start(model)


def test_a_model_that_does_not_fit_its_network_ends_the_start_with_one_line(tmp_path):
    model = write_model(tmp_path / "model", action_space={"type": "Discrete", "n": 3, "start": 0}, state_sizes=[4])
    assert "does not answer" in refused_start(model)


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("SAGEMAKER_BIND_TO_PORT", "http", "SAGEMAKER_BIND_TO_PORT = http: a whole number, at least 0, is expected"),
        ("SAGEMAKER_MAX_PAYLOAD_IN_MB", "-1", "SAGEMAKER_MAX_PAYLOAD_IN_MB = -1: a number, at least 0, is expected"),
        ("SERVE_HEADER_SECONDS", "nan", "SERVE_HEADER_SECONDS = nan: a number, at least 0.1, is expected"),
        ("SERVE_CONNECTIONS", "0", "SERVE_CONNECTIONS = 0: a whole number, at least 1, is expected"),
        ("SERVE_HOST", "203.0.113.7", "cannot listen on 203.0.113.7:0"),
    ],
)
def test_a_wrong_setting_ends_the_start_with_one_line(tmp_path, variable, value, said):
    assert said in refused_start(write_model(tmp_path / "model"), **{variable: value})


def test_a_taken_port_ends_the_start_with_one_line(box, tmp_path):
    taken = refused_start(write_model(tmp_path / "model"), SAGEMAKER_BIND_TO_PORT=box.port)
    assert taken == f"cannot listen on 127.0.0.1:{box.port}: Address already in use"


def test_an_empty_setting_is_none(tmp_path):
    with serving(write_model(tmp_path / "model"), SAGEMAKER_MAX_PAYLOAD_IN_MB="") as served:
        assert served.get("/ping").status == 200


def test_no_limit_is_no_limit(tmp_path):
    with serving(write_model(tmp_path / "model"), SAGEMAKER_MAX_PAYLOAD_IN_MB=0) as served:
        assert served.ask(b" " * 20_000_000 + b"[[1,2,3,4]]").status == 200


def test_a_read_only_model_is_enough(tmp_path):
    model = write_model(tmp_path / "model")
    before = sorted(model.iterdir())
    with serving(model) as served:
        assert served.ask(ROWS).status == 200
    assert sorted(model.iterdir()) == before


def test_nobody_who_reads_the_log_is_no_reason_not_to_serve(tmp_path):
    model = write_model(tmp_path / "model")
    process = subprocess.Popen(command(), env=environment(model), stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        port = json.loads(process.stdout.readline())["port"]
        process.stdout.close()
        with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
            for _ in range(50):
                client.sendall(post())
                assert client.recv(65536).startswith(b"HTTP/1.1 200")
        process.terminate()
        assert process.wait(timeout=10) == 0
    finally:
        process.kill()
        process.wait()


def test_importing_the_server_imports_no_ray_and_no_tensorflow():
    loaded = "import sys, rl_app.serve; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    ran = subprocess.run([sys.executable, "-c", loaded], stdout=subprocess.PIPE, check=True, text=True)
    assert not {"ray", "tensorflow", "gym", "onnx", "pandas"} & set(ran.stdout.split())


def test_the_made_model_answers_as_numpy_does(tmp_path):
    """What the tests above compare with."""
    model = write_model(tmp_path / "model", BOX)
    outputs = Policy.load(model).act(np.array(ROWS))
    np.testing.assert_allclose(outputs["action_dist_inputs"], logits(model, ROWS), rtol=1e-5)
