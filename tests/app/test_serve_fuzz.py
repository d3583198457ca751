"""A server asked at random: from its own OpenAPI document, with any bytes of any media type, and with what is no HTTP.

Whatever comes, nothing is answered with a 5xx or a traceback, every answer is as the document says, and afterwards the
server answers as before and holds no more memory. With ``FUZZ_SECONDS=10`` each test goes on for so
long, with ever other seeds.
"""

from __future__ import annotations

import re
import socket
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple, Tuple

import hypothesis.strategies as st
import numpy as np
import pytest
import requests
import schemathesis
from gym import spaces
from schemathesis import DataGenerationMethod
from schemathesis.checks import not_a_server_error
from schemathesis.models import Case
from schemathesis.specs.openapi import checks

from tests.app.fuzzing import (
    CSV,
    JSON_LINES,
    NPY,
    Probe,
    Question,
    fuzz,
    malformed_requests,
    right_questions,
    statuses,
    wrong_questions,
)
from tests.app.made_models import BOX, THREE, write_model
from tests.app.serving import JSON, Served, everything

MOST_GROWTH = 24 * 2**20
"""Bytes: what the allocators keep, and caches that are bounded."""

NESTED = spaces.Dict(
    {
        "position": spaces.Box(-1, 1, (2,), np.float32),
        "gear": spaces.Discrete(4),
        "inner": spaces.Tuple([spaces.MultiDiscrete([3, 5]), spaces.MultiBinary(2)]),
    }
)


class Fuzzed(NamedTuple):
    """A model: its spaces, its memory, and what the document cannot say of its questions."""

    observations: spaces.Space
    actions: spaces.Space
    memory: int = 0
    unsaid: str = "$^"
    looks_back: bool = False

    @property
    def asked(self) -> Tuple[spaces.Space, int, bool]:
        """What its questions are made from."""
        return self.observations, self.memory, self.looks_back


MODELS: Dict[str, Fuzzed] = {
    "plain": Fuzzed(BOX, THREE),
    "dict": Fuzzed(NESTED, spaces.Box(-1, 1, (2,), np.float32), 0, r"expected (2 numbers|integers from 0 to)"),
    "tuple": Fuzzed(
        spaces.Tuple([spaces.Discrete(3), spaces.Box(-1, 1, (2, 2), np.float64)]),
        spaces.Tuple([spaces.Discrete(3), spaces.Box(-1, 1, (2,), np.float32)]),
        0,
        r"observations|body|instances",
    ),
    "multi": Fuzzed(spaces.MultiDiscrete([4, 4]), spaces.MultiDiscrete([2, 3])),
    "image": Fuzzed(spaces.Box(0, 255, (3, 2, 1), np.uint8), spaces.Discrete(2)),
    "memory": Fuzzed(BOX, THREE, 3, r"state_in_0: expected numbers of the shape"),
    "looking back": Fuzzed(BOX, THREE, 0, r"prev_(action|reward): expected numbers of the shape", looks_back=True),
}


class Fired(NamedTuple):
    """How many requests there were, and the bytes by which the server's memory grew."""

    requests: int
    grown: int


TOO_LARGE = r"the network's answer is not finite"
DIFFERENT = r"expected the same fields in each instance"


@schemathesis.serializer(CSV, aliases=(JSON_LINES, "application/jsons", NPY))
class AsItIs:
    """Bodies of the media types that are no JSON."""

    def as_requests(self, _: Any, value: Any) -> Dict[str, Any]:
        return {"data": value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")}

    def as_werkzeug(self, context: Any, value: Any) -> Dict[str, Any]:
        return self.as_requests(context, value)


@pytest.fixture(scope="module")
def fired(record_testsuite_property: Any, request: pytest.FixtureRequest) -> Iterator[Dict[str, Fired]]:
    """What each model was sent."""
    found: Dict[str, Fired] = {}
    yield found
    total = sum(each.requests for each in found.values())
    record_testsuite_property("serve_fuzz_requests", total)
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        each = ", ".join(f"{name} {one.requests} (+{one.grown / 2**20:.1f} MiB)" for name, one in found.items())
        print(f"\nthe server was asked {total} times: {each}", flush=True)


@pytest.fixture(scope="module", params=MODELS)
def probe(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, fired: Dict[str, Fired]
) -> Iterator[Probe]:
    """A server under fire, which has to be as good as new in the end."""
    model = MODELS[request.param]
    directory = tmp_path_factory.mktemp("fuzz") / "model"
    write_model(directory, model.observations, model.actions, model.memory, model.looks_back)
    with Served(directory, SERVE_MAX_BODY_MB="1", SERVE_CLIENT_TIMEOUT_S="2") as server:
        probe = Probe(server, request.param)
        warm(probe, wrong_questions(*model.asked))
        resident = probe.resident()
        yield probe
        assert server.get("/ping").status == 200
        grown = probe.resident() - resident
        fired[request.param] = Fired(probe.asked, grown)
        assert grown < MOST_GROWTH, f"{grown >> 20} MiB more after {probe.asked} requests"
    assert "Traceback" not in server.stderr
    assert [line["status"] for line in server.log() if line.get("status", 0) >= 500] == []


def warm(probe: Probe, questions: Any) -> None:
    """Asks so much that what the server keeps for good is there."""

    def ask(question: Question) -> None:
        probe.ask(question)

    fuzz(ask, questions, 100, seconds=0)


# ---- from the document


@pytest.mark.parametrize(
    "method", [DataGenerationMethod.positive, DataGenerationMethod.negative], ids=lambda it: it.name
)
def test_from_the_document(method: DataGenerationMethod, probe: Probe) -> None:
    schema = schemathesis.from_uri(f"{probe.server.url}/openapi.json", validate_schema=True)
    session = requests.Session()
    unsaid = "|".join((MODELS[probe.name].unsaid, TOO_LARGE, DIFFERENT))

    def check(case: Case) -> None:
        probe.asked += 1
        response = case.call(session=session)
        case.validate_response(response, checks=CHECKS)
        fine, right = response.status_code == 200, method is DataGenerationMethod.positive
        if case.media_type == JSON and right and not fine:
            assert re.search(unsaid, response.json()["error"]), response.text
        if case.media_type == JSON and fine and not right:  # what was broken on purpose may be right all the same
            probe.check(counted(case.body), probe.operation["requestBody"]["content"][JSON]["schema"])

    operations = [result.ok() for result in schema.get_all_operations()]
    assert {operation.path for operation in operations} == set(probe.document["paths"])
    for operation in operations:
        strategy = operation.as_strategy(data_generation_method=method)
        if operation.body:
            fuzz(check, strategy, 60)
        elif method is DataGenerationMethod.positive:  # there is nothing to be wrong in a GET
            fuzz(check, strategy, 1, seconds=0)


CHECKS = (
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
)


def counted(value: Any) -> Any:
    """A value in which true and false are 1 and 0, as they are among numbers."""
    if isinstance(value, dict):
        return {key: each if key == "deterministic" else counted(each) for key, each in value.items()}
    if isinstance(value, list):
        return [counted(each) for each in value]
    return int(value) if isinstance(value, bool) else value


# ---- from the spaces


def test_every_right_question_is_answered_for_each_of_its_rows(probe: Probe) -> None:
    model = MODELS[probe.name]

    def check(asked: Tuple[Question, int]) -> None:
        question, rows = asked
        said = probe.ask(question)
        assert said.status == 200, (question, said.body)
        assert rows_of(probe.ask(question._replace(accept=JSON)).json) == [rows]

    fuzz(check, right_questions(*model.asked), 40)


def rows_of(answer: Dict[str, Any]) -> List[int]:
    if "predictions" in answer:
        return [len(answer["predictions"])]
    return sorted({len(values) for values in answer["outputs"].values()})


# ---- from nowhere


def test_any_bytes_of_any_media_type(probe: Probe) -> None:
    model = MODELS[probe.name]
    seen = set()

    def check(question: Question) -> None:
        said = probe.ask(question)
        seen.add(said.status)
        assert said.status in (200, 400, 406, 413, 415), (question, said)
        if said.status != 200:
            assert said.json["error"].isprintable()

    fuzz(check, wrong_questions(*model.asked), 150)
    assert seen >= {400, 406, 415}


def test_neighbours_of_one_turn_change_no_answer(probe: Probe) -> None:
    model = MODELS[probe.name]
    wrong, right = wrong_questions(*model.asked), right_questions(*model.asked).map(lambda asked: asked[0])

    def check(questions: List[Question]) -> None:
        alone = [probe.ask(question) for question in questions]
        together = probe.ask_at_once(questions)
        for question, one, other in zip(questions, alone, together):
            assert (one.status, one.headers["content-type"]) == (other.status, other.headers["content-type"]), question
            if one.headers["content-type"] == JSON:
                assert_near(one.json, other.json)

    fuzz(check, st.lists(wrong | right, min_size=2, max_size=6), 12)


def assert_near(one: Any, other: Any) -> None:
    """That two values are the same but for rounding, which the size of a batch has a part in."""
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_near(one[key], other[key])
    elif isinstance(one, list):
        assert len(one) == len(other)
        for pair in zip(one, other):
            assert_near(*pair)
    else:
        assert one == pytest.approx(other, rel=1e-4, abs=1e-4)


def test_what_is_no_http(probe: Probe) -> None:
    def check(sent: bytes) -> None:
        probe.asked += 1
        with probe.server.connect() as client:
            try:
                client.sendall(sent)
                client.shutdown(socket.SHUT_WR)
            except OSError:  # it has been refused and closed before all was sent
                return
            said = everything(client)
        assert b"Traceback" not in said
        assert all(status < 500 for status in statuses(said)), (sent, said)
        assert said == b"" or statuses(said), (sent, said)

    fuzz(check, malformed_requests(), 80)


# ---- what it found


@pytest.mark.parametrize("kind", [JSON, JSON_LINES, CSV, NPY])
@pytest.mark.parametrize(
    "model", [MODELS["plain"], MODELS["dict"]._replace(observations=BOX)], ids=["plain", "clipped"]
)
def test_an_observation_that_overflows_the_network_gets_no_action_of_nothing(
    model: Fuzzed, kind: str, tmp_path: Path
) -> None:
    largest = float(np.finfo(np.float32).max)
    with Served(write_model(tmp_path / "model", model.observations, model.actions)) as server:
        for rows_before in (1, 500):
            said = server.post({"observations": [[0, 0, 0, 0]] * rows_before + [[largest] * 4]}, accept=kind)
            assert said.status == 400
            assert said.json == {"error": "observations: so large that the network's answer is not finite"}
        assert server.post({"observations": [[0, 0, 0, 0]]}, accept=kind).status == 200


def test_what_overflows_behind_a_filter_is_refused_too(tmp_path: Path) -> None:
    sharp = {"mean": [0.0] * 4, "std": [1e-30] * 4}
    with Served(write_model(tmp_path / "model", observation_filter=sharp)) as server:
        said = server.post({"observations": [[1e38, 0, 0, 0]]})
        assert said.status == 400
        assert server.post({"observations": [[0, 0, 0, 0]]}).status == 200


def test_a_refusal_is_one_line_of_bounded_length_whatever_names_it_repeats(tmp_path: Path) -> None:
    with Served(write_model(tmp_path / "model", NESTED)) as server:
        for name in ("a\nb", "\u2028\x1b[31m", "x" * 100_000):
            observation = {"position": [0, 0], "gear": 0, "inner": [[0, 0], [0, 0]], name: 1}
            for body in ({name: 1}, {"observations": [observation]}, {"observations": [[0]], name: 1}):
                said = server.post(body)
                assert said.status == 400
                assert said.json["error"].isprintable(), said.json
                assert len(said.body) < 4000
