"""Bad requests: what is asked → status → what the one sentence says."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple

import numpy as np
import pytest
from gym import spaces

from tests.app.made_models import write_model
from tests.app.serving import JSON, Served

FINE = b'{"observations": [[1, 2, 3, 4]]}'
CSV, NPY, LINES = "text/csv", "application/x-npy", "application/jsonlines"


def npy(array: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


def header_of_npy(text: str, content: bytes = b"") -> bytes:
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode() + content


class Bad(NamedTuple):
    body: bytes
    status: int
    said: str
    kind: str = JSON
    headers: Dict[str, str] = {}  # noqa: RUF012  # never changed


HUGE = "{'descr': '<f8', 'fortran_order': False, 'shape': (1099511627775, 4)}\n"
CODE = "{'descr': __import__('os').system('true'), 'fortran_order': False, 'shape': (1, 4)}\n"

PLAIN: List[Bad] = [
    Bad(b"", 400, "body: malformed JSON"),
    Bad(b"{", 400, "body: malformed JSON: unexpected end of data: line 1 column 2 (char 1)"),
    Bad(b"[" * 5000, 400, "body: malformed JSON"),
    Bad(b'{"observations": [[1, 2, 3, "\xff"]]}', 400, "body: malformed JSON"),
    Bad(b"7", 400, "body: expected an object or a list of observations, got the number 7"),
    Bad(b"null", 400, "body: expected an object or a list of observations, got null"),
    Bad(b"{}", 400, "body: expected one of observations, inputs, instances, got none of them"),
    Bad(b'{"observation": [1, 2, 3, 4]}', 400, "observation: unknown field; did you mean observations?"),
    Bad(b'{"observations": [1, 2, 3, 4], "seed": 1}', 400, "seed: unknown field; "),
    Bad(b'{"inputs": {"observations": [1, 2, 3, 4], "foo": 1}}', 400, "foo: unknown field; "),
    Bad(b'{"inputs": {"foo": 1}}', 400, "foo: unknown field; "),
    Bad(
        b'{"inputs": [[1, 2, 3, 4]], "instances": []}',
        400,
        "body: expected one of observations, inputs, instances, got",
    ),
    Bad(b'{"inputs": [[1, 2, 3, 4]], "prev_action": 1}', 400, "prev_action: unknown field; "),
    Bad(b'{"observations": []}', 400, "observations: the batch is empty; at least one observation is expected"),
    Bad(b'{"instances": []}', 400, "instances: the batch is empty; at least one observation is expected"),
    Bad(b"[]", 400, "body: the batch is empty; at least one observation is expected"),
    Bad(b'{"observations": [1, 2, 3]}', 400, "observations: expected 4 numbers or a list of them, got the shape [3]"),
    Bad(
        b'{"observations": [[[1, 2, 3, 4]]]}',
        400,
        "observations: expected 4 numbers or a list of them, got the shape [1, 1, 4]",
    ),
    Bad(b'{"observations": [[1, 2, 3, 4], [1, 2]]}', 400, "observations[1]: expected 4 numbers, got the shape [2]"),
    Bad(
        b'{"observations": [[1, 2, 3, [4]]]}',
        400,
        "observations[0]: expected 4 numbers, got lists of different lengths",
    ),
    Bad(b'{"observations": 3}', 400, "observations: expected 4 numbers or a list of them, got the shape []"),
    Bad(b'{"observations": "1,2,3,4"}', 400, "observations: expected 4 numbers or a list of them, got a string"),
    Bad(b'{"observations": {"a": 1}}', 400, "observations: expected 4 numbers or a list of them, got an object"),
    Bad(b'{"observations": [[1, 2, 3, "4"]]}', 400, "observations[0][3]: expected a number, got a string"),
    Bad(b'{"observations": [[1, 2, 3, null]]}', 400, "observations[0][3]: expected a number, got null"),
    Bad(b'{"observations": [[true, false, true, true]]}', 400, "observations: expected numbers, got true or false"),
    Bad(b'{"observations": [[1, 2, 3, NaN]]}', 400, "body: NaN and infinity are no numbers of JSON"),
    Bad(b'{"observations": [[1, 2, 3, -Infinity]]}', 400, "body: NaN and infinity are no numbers of JSON"),
    Bad(b'{"observations": [[1, 2, 3, 1e999]]}', 400, "body: NaN and infinity are no numbers of JSON"),
    Bad(
        b'{"observations": [[0, 0, 0, 0], [1, 2, 3, 1e300]]}',
        400,
        "observations[1]: 1e+300 is beyond the range of float32",
    ),
    Bad(
        b'{"observations": [[1, 2, 3, 4]], "deterministic": "no"}',
        400,
        "deterministic: expected true or false, got a string",
    ),
    Bad(b'{"observations": [[1, 2, 3, 4]], "state_in_0": [[1]]}', 400, "state_in_0: unknown field; "),
    Bad(b'{"inputs": [[1, 2, 3, 4]], "signature_name": "other"}', 400, 'signature_name: expected "serving_default"'),
    Bad(b'{"instances": {"observations": [1, 2, 3, 4]}}', 400, "instances: expected a list, got an object"),
    Bad(
        b'{"instances": [{"observations": [1, 2, 3, 4]}, [1, 2, 3, 4]]}', 400, "instances[1]: expected the same fields"
    ),
    Bad(b"1,2,3", 400, "line 1: expected 4 numbers, got 3", CSV),
    Bad(b"1,2,3,4\n1,2,x,4", 400, "line 2, column 3: 'x' is no number", CSV),
    Bad(b"1,2,3,nan", 400, "body[0]: nan is no finite number", CSV),
    Bad(b"", 400, "body: the batch is empty; at least one line of numbers is expected", CSV),
    Bad(b"1,2,3,\xff", 400, "body: byte 6 is no UTF-8", CSV),
    Bad(b"[1,2,3,4]\n[1,2", 400, "line 2: malformed JSON", LINES),
    Bad(b"\n\n", 400, "body: the batch is empty; at least one line is expected", LINES),
    Bad(b"no array", 400, "body: no .npy file", NPY),
    Bad(npy(np.array([object()])), 400, "body: no header of a .npy file that holds numbers", NPY),
    Bad(npy(np.array(["a"])), 400, "body: no header of a .npy file that holds numbers", NPY),
    Bad(npy(np.ones((2, 3))), 400, "body: expected the shape [batch, 4], got [2, 3]", NPY),
    Bad(npy(np.ones((0, 4))), 400, "body: the batch is empty; at least one observation is expected", NPY),
    Bad(npy(np.full((1, 4), np.inf)), 400, "body[0]: inf is no finite number", NPY),
    Bad(npy(np.ones((1, 4)))[:-8], 400, "body: the .npy file should hold 32 bytes, and holds 24", NPY),
    Bad(header_of_npy(HUGE, b"1234"), 400, "body: the .npy file should hold", NPY),
    Bad(header_of_npy(CODE), 400, "body: no header of a .npy file", NPY),
    Bad(header_of_npy(" " * 60000), 400, "body: no header of a .npy file that holds numbers", NPY),
    Bad(
        header_of_npy("{'descr': '<f8', 'fortran_order': False, 'shape': (-1, 4)}"),
        400,
        "body: no header of a .npy file",
        NPY,
    ),
    Bad(
        header_of_npy("{'descr': '<f8', 'fortran_order': False, 'shape': (" + "1," * 40 + ")}", bytes(8)),
        400,
        "body: the .npy file's array has 40 dimensions",
        NPY,
    ),
    Bad(FINE, 415, "Content-Type: text/html is not supported; supported are application/json", "text/html"),
    Bad(
        FINE,
        415,
        "Content-Type: application/json, application/json is not supported",
        "application/json, application/json",
    ),
    Bad(FINE, 415, "Content-Type: the charset latin-1 is not supported", "application/json; charset=latin-1"),
    Bad(FINE, 415, "Content-Encoding: is not supported", JSON, {"Content-Encoding": "gzip"}),
    Bad(FINE, 406, "Accept: image/png cannot be answered; there are application/json", JSON, {"Accept": "image/png"}),
    Bad(FINE, 406, "Accept: application/json;q=0 cannot be answered", JSON, {"Accept": "application/json;q=0"}),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with Served(write_model(tmp_path_factory.mktemp("plain") / "model")) as served:
        yield served


def check(server: Served, bad: Bad) -> None:
    headers = {"Content-Type": bad.kind, **bad.headers}
    answer = server.ask("POST", "/invocations", bad.body, headers)
    assert (answer.status, answer.headers["content-type"]) == (bad.status, JSON)
    assert [*answer.json] == ["error"]
    said = answer.json["error"]
    assert said.startswith(bad.said), said
    assert len(said.splitlines()) == 1 and len(said) < 400
    assert "Traceback" not in said


@pytest.mark.parametrize("bad", PLAIN, ids=lambda bad: f"{bad.status} {bad.said[:60]}")
def test_a_bad_request_is_refused_with_one_sentence(bad: Bad, server: Served) -> None:
    check(server, bad)
    assert server.post(FINE).status == 200


@pytest.mark.parametrize(
    ("method", "path", "status", "said", "allow"),
    [
        ("GET", "/invocations", 405, "GET: the method is not allowed here; /invocations takes POST", "POST"),
        ("PUT", "/invocations", 405, "PUT: the method is not allowed here", "POST"),
        ("POST", "/ping", 405, "POST: the method is not allowed here; /ping takes GET", "GET, HEAD"),
        ("DELETE", "/", 405, "DELETE: the method is not allowed here", "GET, HEAD"),
        ("GET", "/models", 404, "/models: there is no such path; there are /invocations, /ping", None),
        ("POST", "/invocations/", 404, "/invocations/: there is no such path", None),
        ("GET", "/../etc/passwd", 404, "/../etc/passwd: there is no such path", None),
    ],
)
def test_wrong_methods_and_paths(method: str, path: str, status: int, said: str, allow: Any, server: Served) -> None:
    answer = server.ask(method, path, FINE if method != "GET" else None, {"Content-Type": JSON})
    assert (answer.status, answer.headers.get("allow")) == (status, allow)
    assert answer.json["error"].startswith(said)


def served(tmp_path: Path, **made: Any) -> Served:
    return Served(write_model(tmp_path / "model", **made))


BOX = spaces.Box(-1, 1, (2,), np.float32)


@pytest.mark.parametrize(
    ("space", "value", "said"),
    [
        (spaces.Discrete(3), 3, "observations[0]: expected integers from 0 to 2, got 3"),
        (spaces.Discrete(3), [0, 1.5], "observations[1]: expected integers, got 1.5"),
        (spaces.Discrete(3), [1.5], "observations[0]: expected integers, got 1.5"),
        (
            spaces.MultiDiscrete([2, 3]),
            [[0, 0], [1, 3]],
            "observations[1]: expected integers from 0 to [1, 2], got [1, 3]",
        ),
        (spaces.MultiBinary(2), [0, 2], "observations[0]: expected integers from 0 to 1, got [0, 2]"),
        (
            spaces.Box(0, 255, (2,), np.uint8),
            [0, 256],
            "observations[0]: expected integers from 0 to 255, got [0, 256]",
        ),
        (spaces.Box(0, 255, (2,), np.uint8), [-1, 0.5], "observations[0]: expected integers, got [-1.0, 0.5]"),
        (spaces.Dict({"a": BOX}), {}, "observations.a: is missing; expected a"),
        (spaces.Dict({"a": BOX}), {"a": [1, 2], "b": 1}, "observations.b: is unknown; expected a"),
        (
            spaces.Dict({"a": BOX}),
            [{"a": [1, 2]}, {"a": [1]}],
            "observations.a[1]: expected 2 numbers, got the shape [1]",
        ),
        (spaces.Dict({"a": BOX}), [1, 2], "observations[0]: expected an object with a, got the number 1"),
        (
            spaces.Dict({"a": BOX, "b": BOX}),
            {"a": [[1, 2]], "b": [[1, 2], [3, 4]]},
            "observations.b: has 2 observations",
        ),
        (spaces.Tuple([BOX, BOX]), [[1, 2]], "observations: expected a list of 2 parts, got a list of 1"),
        (spaces.Tuple([BOX, BOX]), "x", "observations: expected a list of 2 parts or a list of them, got a string"),
    ],
    ids=str,
)
def test_what_is_not_of_the_space_is_refused(space: Any, value: Any, said: str, tmp_path: Path) -> None:
    with served(tmp_path, observations=space) as server:
        check(server, Bad(json.dumps({"observations": value}).encode(), 400, said))


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ([[1, 2, 3]], "state_in_0: expected numbers of the shape [1, 2], got [1, 3]"),
        ([[1, 2], [3, 4]], "state_in_0: expected numbers of the shape [1, 2], got [2, 2]"),
        ("none", "state_in_0: expected numbers of the shape [1, 2], got something else"),
        ([[1, 1e300]], "state_in_0: holds a number that is not finite"),
    ],
    ids=str,
)
def test_a_state_of_the_wrong_shape_is_refused(state: Any, said: str, tmp_path: Path) -> None:
    with served(tmp_path, memory=2) as server:
        check(server, Bad(json.dumps({"observations": [1, 2, 3, 4], "state_in_0": state}).encode(), 400, said))


def test_a_policy_without_a_distribution_says_that_it_cannot_sample(tmp_path: Path) -> None:
    with served(tmp_path, algorithm="DQN", outputs=["actions_0", "q_values"]) as server:
        request = {"observations": [1, 2, 3, 4], "deterministic": False}
        said = "deterministic: false: DQN has no distribution to sample an action from"
        check(server, Bad(json.dumps(request).encode(), 400, said))
