"""What the server answers to good requests, in every media type and for every kind of space."""

from __future__ import annotations

import io
import json
from codecs import BOM_UTF8
from pathlib import Path
from typing import Any, Dict, Iterator, List

import numpy as np
import pytest
from gym import spaces

from tests.app.made_models import logits, write_model
from tests.app.serving import Served

ROWS = [[0.1, -0.2, 0.3, 0.4], [5.0, -5.0, 1.0, 2.0], [0.0, 0.0, 0.0, 0.0]]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("plain") / "model")


@pytest.fixture(scope="module")
def server(model: Path) -> Iterator[Served]:
    with Served(model) as served:
        yield served


@pytest.fixture(scope="module")
def expected(model: Path) -> List[int]:
    return [int(action) for action in logits(model, np.array(ROWS)).argmax(axis=1)]


def npy(array: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


# ---- one policy, asked in every way


@pytest.mark.parametrize(
    "request_",
    [
        {"observations": ROWS},
        {"inputs": {"observations": ROWS}},
        {"inputs": ROWS},
        ROWS,
        {"observations": ROWS, "deterministic": True},
        {"signature_name": "serving_default", "inputs": {"observations": ROWS}},
    ],
    ids=json.dumps,
)
def test_columns_are_answered_with_outputs(request_: Any, server: Served, expected: List[int]) -> None:
    answer = server.post(request_)
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    outputs = answer.json["outputs"]
    assert outputs["actions_0"] == expected
    assert {name: len(values) for name, values in outputs.items()} == dict.fromkeys(
        ["actions_0", "action_dist_inputs", "action_logp", "action_prob", "vf_preds"], 3
    )


@pytest.mark.parametrize("rows", [ROWS, [{"observations": row} for row in ROWS]], ids=["bare", "named"])
def test_instances_are_answered_with_predictions(rows: Any, server: Served, expected: List[int]) -> None:
    predictions = server.post({"instances": rows}).json["predictions"]
    assert [row["actions_0"] for row in predictions] == expected
    assert len(predictions[0]["action_dist_inputs"]) == 3


@pytest.mark.parametrize(
    "others",
    [
        {"prev_action": [0, 0], "is_training": False, "prev_reward": -1, "seq_lens": -1},
        {"prev_action": "none", "is_training": [[]], "prev_reward": {}, "seq_lens": None},
    ],
    ids=["as AWS's notebook sends them", "of any shape"],
)
def test_what_a_policy_without_memory_does_not_read_changes_nothing(
    others: Dict[str, Any], server: Served, expected: List[int]
) -> None:
    alone = server.post({"inputs": {"observations": ROWS[:1]}})
    assert server.post({"inputs": {"observations": ROWS[:1], **others}}).body == alone.body
    assert alone.json["outputs"]["actions_0"] == expected[:1]


def test_one_observation_is_a_batch_of_one(server: Served, expected: List[int]) -> None:
    for request in ({"observations": ROWS[1]}, ROWS[1], {"inputs": {"observations": ROWS[1]}}):
        assert server.post(request).json["outputs"]["actions_0"] == expected[1:2]


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", json.dumps(ROWS).encode()),
        ("application/json; charset=utf-8", json.dumps(ROWS).encode()),
        ("APPLICATION/JSON;charset=UTF-8", json.dumps(ROWS).encode()),
        (None, json.dumps(ROWS).encode()),
        ("text/csv", b"\n".join(b",".join(b"%r" % value for value in row) for row in ROWS)),
        (
            "text/csv; header=absent",
            b"\r\n".join(b" , ".join(b"%r" % value for value in row) for row in ROWS) + b"\r\n",
        ),
        ("application/json", BOM_UTF8 + json.dumps(ROWS).encode()),
        ("text/csv", BOM_UTF8 + b"\n".join(b",".join(b"%r" % value for value in row) for row in ROWS)),
        ("application/jsonlines", b"\n".join(json.dumps(row).encode() for row in ROWS)),
        ("application/jsons", b"\n".join(json.dumps({"observations": row}).encode() for row in ROWS)),
        ("application/x-npy", npy(ROWS)),
        ("application/x-npy", npy(np.asfortranarray(np.array(ROWS, np.float32)))),
    ],
)
def test_every_media_type_is_read(kind: Any, body: bytes, server: Served, expected: List[int]) -> None:
    answer = server.post(body, kind, "application/json")
    assert answer.status == 200, answer.body
    assert answer.json["outputs" if "outputs" in answer.json else "predictions"] is not None
    found = answer.json.get("outputs", {}).get("actions_0") or [row["actions_0"] for row in answer.json["predictions"]]
    assert found == expected


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        (None, "application/json"),
        ("*/*", "application/json"),
        ("text/csv", "text/csv"),
        ("text/csv, application/json;q=0.9", "text/csv"),
        ("text/html, application/json;q=0.5, */*;q=0.1", "application/json"),
        ("text/*", "text/csv"),
        ("application/jsonlines", "application/jsonlines"),
        ("application/x-npy", "application/x-npy"),
        ("application/json;q=0, application/x-npy", "application/x-npy"),
        ("application/json;q=0, */*", "application/jsonlines"),
        ("*/*, application/json;q=0.1, application/*;q=0.2", "text/csv"),
        ("text/csv;q=nan, */*;q=0.1", "application/json"),
    ],
)
def test_accept_is_honoured(accept: Any, kind: str, server: Served, expected: List[int]) -> None:
    answer = server.post(ROWS, accept=accept)
    assert (answer.status, answer.headers["content-type"]) == (200, kind)
    if kind == "text/csv":
        assert answer.body.decode().split("\n") == [str(action) for action in expected]
    elif kind == "application/x-npy":
        assert np.load(io.BytesIO(answer.body)).tolist() == expected
    elif kind == "application/jsonlines":
        assert [json.loads(line)["actions_0"] for line in answer.body.split(b"\n")] == expected


@pytest.mark.parametrize("kind", ["text/csv", "application/jsonlines"])
def test_the_last_line_of_an_answer_has_no_newline(kind: str, server: Served) -> None:
    assert len(server.post(ROWS, accept=kind).body.split(b"\n")) == len(ROWS)


@pytest.mark.parametrize(("kind", "body"), [("text/csv", b"1,2,3,4\n"), ("application/x-npy", npy([[1.0, 2, 3, 4]]))])
def test_without_accept_the_answer_is_of_the_requests_type(kind: str, body: bytes, server: Served) -> None:
    assert server.post(body, kind).headers["content-type"] == kind


def test_sampled_actions_follow_the_distribution(server: Served, model: Path) -> None:
    many = 4000
    outputs = server.post({"observations": [[0.3, 0.1, -0.2, 0.5]] * many, "deterministic": False}).json["outputs"]
    weights = np.exp(logits(model, np.array([[0.3, 0.1, -0.2, 0.5]])))[0]
    seen = np.bincount(outputs["actions_0"], minlength=3) / many
    # four standard deviations of a share of 4,000 draws
    assert np.allclose(seen, weights / weights.sum(), atol=4 * 0.5 / many**0.5)
    probabilities = (weights / weights.sum())[outputs["actions_0"]]
    assert np.allclose(outputs["action_prob"], probabilities, rtol=1e-5)


def test_a_large_body_is_answered_like_small_ones(server: Served, model: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(30_000, 4))
    body = json.dumps({"observations": rows.tolist()}).encode()
    assert len(body) > 1 << 20
    outputs = server.post(body).json["outputs"]
    assert outputs["actions_0"] == logits(model, rows).argmax(axis=1).tolist()


def test_many_clients_at_once_each_get_their_own_answer(server: Served, model: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    rows = np.random.default_rng(1).normal(size=(400, 4)).astype(np.float32)
    right = logits(model, rows)

    def ask(row: int) -> Any:
        return server.post({"observations": [rows[row].tolist()]}).json["outputs"]["action_dist_inputs"][0]

    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(ask, range(len(rows))))
    assert np.allclose(found, right, atol=1e-5)


def test_a_bad_request_does_not_spoil_those_that_come_with_it(server: Served, expected: List[int]) -> None:
    from concurrent.futures import ThreadPoolExecutor

    good, beyond_float32 = {"observations": ROWS}, {"observations": [[1.0, 2.0, 3.0, 1e300]]}
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(server.post, [good, beyond_float32] * 100))
    assert {answer.status for answer in answers[::2]} == {200}
    assert all(answer.json["outputs"]["actions_0"] == expected for answer in answers[::2])
    assert {answer.status for answer in answers[1::2]} == {400}


# ---- spaces


def served(tmp_path: Path, **made: Any) -> Served:
    return Served(write_model(tmp_path / "model", **made))


DICT = spaces.Dict({"position": spaces.Box(-1, 1, (2,), np.float32), "item": spaces.Discrete(3)})


def test_dict_observations_come_as_objects_as_a_list_or_in_columns(tmp_path: Path) -> None:
    rows = [{"position": [0.5, -0.5], "item": 2}, {"position": [0.0, 1.0], "item": 0}]
    flat = [[0, 0, 1, 0.5, -0.5], [1, 0, 0, 0.0, 1.0]]  # RLlib sorts the keys
    with served(tmp_path, observations=DICT) as server:
        right = logits(tmp_path / "model", np.array(flat)).argmax(axis=1).tolist()
        columns = {"position": [row["position"] for row in rows], "item": [row["item"] for row in rows]}
        for request in ({"observations": rows}, rows, {"inputs": {"observations": columns}}, {"inputs": columns}):
            assert server.post(request).json["outputs"]["actions_0"] == right, request
        for instances in (rows, [{"observations": row} for row in rows]):
            predictions = server.post({"instances": instances}).json["predictions"]
            assert [row["actions_0"] for row in predictions] == right
        assert server.post({"observations": rows[0]}).json["outputs"]["actions_0"] == right[:1]
        csv = b"2,0.5,-0.5\n0,0,1"
        assert server.post(csv, "text/csv").body.split() == [b"%d" % action for action in right]


def test_tuple_observations(tmp_path: Path) -> None:
    space = spaces.Tuple([spaces.Discrete(2), spaces.Box(-1, 1, (2, 2), np.float32)])
    rows = [[1, [[0.1, 0.2], [0.3, 0.4]]], [0, [[1, 0], [0, 1]]]]
    with served(tmp_path, observations=space) as server:
        right = logits(tmp_path / "model", np.array([[0, 1, 0.1, 0.2, 0.3, 0.4], [1, 0, 1, 0, 0, 1]])).argmax(axis=1)
        assert server.post({"observations": rows}).json["outputs"]["actions_0"] == right.tolist()
        assert server.post({"observations": rows[1]}).json["outputs"]["actions_0"] == right[1:].tolist()


@pytest.mark.parametrize(
    ("space", "value", "flat"),
    [
        (spaces.Discrete(4), 2, [0, 0, 1, 0]),
        (spaces.MultiDiscrete([3, 5]), [2, 4], [2, 4]),
        (spaces.MultiBinary(3), [True, False, True], [1, 0, 1]),
        (spaces.Box(0, 255, (2, 2), np.uint8), [[0, 255], [7, 8]], [0, 255, 7, 8]),
        (spaces.Box(-1, 1, (), np.float32), 0.25, [0.25]),
    ],
    ids=lambda value: str(value) if isinstance(value, spaces.Space) else "",
)
def test_every_plain_space(space: Any, value: Any, flat: List[float], tmp_path: Path) -> None:
    with served(tmp_path, observations=space) as server:
        (right,) = logits(tmp_path / "model", np.array([flat]))
        for request in ({"observations": value}, {"observations": [value, value]}):
            answer = server.post(request)
            assert answer.status == 200, answer.body
            assert np.allclose(answer.json["outputs"]["action_dist_inputs"][-1], right, rtol=1e-4)


def test_continuous_actions_are_clipped_to_the_action_space(tmp_path: Path) -> None:
    actions = spaces.Box(-0.5, 0.5, (2,), np.float32)
    with served(tmp_path, actions=actions) as server:
        outputs = server.post({"observations": [[10.0] * 4, [-10.0] * 4]}).json["outputs"]
        raw = np.array(outputs["action_dist_inputs"])[:, :2]
        assert np.abs(raw).max() > 0.5
        assert np.allclose(outputs["actions_0"], np.clip(raw, -0.5, 0.5))
        sampled = server.post({"observations": [[10.0] * 4] * 50, "deterministic": False}).json["outputs"]["actions_0"]
        assert np.abs(sampled).max() <= 0.5
        assert np.load(io.BytesIO(server.post([[10.0] * 4], accept="application/x-npy").body)).shape == (1, 2)


def test_tuple_actions_have_an_output_each_and_one_row_of_csv(tmp_path: Path) -> None:
    actions = spaces.Tuple([spaces.Discrete(2), spaces.MultiDiscrete([2, 3]), spaces.Box(-1, 1, (1,), np.float32)])
    with served(tmp_path, actions=actions) as server:
        outputs = server.post({"observations": [ROWS[0], ROWS[1]]}).json["outputs"]
        assert [len(outputs[f"actions_{i}"]) for i in range(3)] == [2, 2, 2]
        first = [outputs["actions_0"][0], *outputs["actions_1"][0], *outputs["actions_2"][0]]
        line = server.post([ROWS[0], ROWS[1]], accept="text/csv").body.splitlines()[0]
        assert np.allclose([float(cell) for cell in line.split(b",")], first)


def test_memory_goes_out_and_comes_back_in(tmp_path: Path) -> None:
    with served(tmp_path, memory=2) as server:
        first = server.post({"observations": [ROWS[0]]}).json["outputs"]
        assert first["state_out_0"] == [[1.0, 1.0]]  # the made network halves its state and adds one
        again = server.post({"observations": [ROWS[0]], "state_in_0": first["state_out_0"]}).json["outputs"]
        assert again["state_out_0"] == [[1.5, 1.5]]
        assert again["action_dist_inputs"] != first["action_dist_inputs"]
        by_row = server.post({"instances": [{"observations": ROWS[0], "state_in_0": [1.0, 1.0]}]}).json["predictions"]
        assert by_row[0]["state_out_0"] == [1.5, 1.5]
        assert server.post({"observations": ROWS[0], "state_in_0": [1, 1]}).json["outputs"]["state_out_0"] == [
            [1.5, 1.5]
        ]


# ---- the other routes


def test_ping_says_that_the_policy_answers(server: Served) -> None:
    answer = server.get("/ping")
    assert (answer.status, answer.body) == (200, b"")


def test_a_batch_transform_learns_the_limits(server: Served) -> None:
    assert server.get("/execution-parameters").json == {
        "MaxConcurrentTransforms": 1,
        "BatchStrategy": "MULTI_RECORD",
        "MaxPayloadInMB": 25,
    }


def test_metrics_count_requests_latency_and_batches(model: Path) -> None:
    with Served(model) as server:
        server.post(ROWS)
        server.post({"observations": "x"})
        server.get("/no/such/path")
        lines = server.get("/metrics").body.decode().splitlines()
        assert 'requests_total{path="/invocations",status="200"} 1.0' in lines
        assert 'requests_total{path="/invocations",status="400"} 1.0' in lines
        assert 'requests_total{path="other",status="404"} 1.0' in lines
        assert 'request_seconds_count{path="/invocations"} 2.0' in lines
        assert "batch_rows_sum 3.0" in lines


def test_the_access_log_is_json_without_bodies_and_without_pings(model: Path) -> None:
    with Served(model) as server:
        server.post({"observations": [ROWS[0]]})
        server.post({"observations": ["a-secret"]})
        server.get("/ping")
        assert server.stop() == 0
    lines = server.log()
    assert [(line["method"], line["path"], line["status"]) for line in lines] == [
        ("POST", "/invocations", 200),
        ("POST", "/invocations", 400),
    ]
    assert set(lines[0]) == {"time", "method", "path", "status", "ms", "bytes"}
    assert "a-secret" not in server.stdout + server.stderr
    assert server.stderr.splitlines()[-1].startswith("serving PPO on Made-v0, mean reward 123.50 in training")
