"""What a server is asked that nobody would ask, and what has to hold of every answer."""

from __future__ import annotations

import http.client
import io
import json
import os
import re
import time
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Sequence

import hypothesis
import hypothesis.strategies as st
import jsonschema
import numpy as np
import psutil
from gym import spaces

from rl_app.spaces.description import describe
from tests.app.serving import JSON, Said, Served

CSV, JSON_LINES, NPY = "text/csv", "application/jsonlines", "application/x-npy"
MEDIA = (JSON, CSV, JSON_LINES, "application/jsons", NPY)
SECONDS = float(os.environ.get("FUZZ_SECONDS", "0"))
"""How long each fuzzing test goes on, with other seeds each time; once and with the same seed if it is not set."""
FLOAT32_MAX = float(np.finfo(np.float32).max)


def fuzz(check: Callable[[Any], None], strategy: Any, examples: int, seconds: float = SECONDS) -> None:
    """Calls ``check`` with ``examples`` of a strategy: the same in each run, and ever others until time is over."""
    ends = time.monotonic() + seconds
    for number in range(10**6):
        settings = hypothesis.settings(
            max_examples=examples,
            deadline=None,
            database=None,
            suppress_health_check=list(hypothesis.HealthCheck),
            phases=[hypothesis.Phase.generate, hypothesis.Phase.shrink],
        )
        hypothesis.seed(number)(settings(hypothesis.given(strategy)(check)))()
        if time.monotonic() >= ends:
            return


class Question(NamedTuple):
    """A request to /invocations; without a header where it is None."""

    body: bytes
    kind: Optional[str] = JSON
    accept: Optional[str] = None


class Probe:
    """Asks a server, and holds every answer against the document that the server gives of itself."""

    def __init__(self, server: Served, name: str) -> None:
        self.server, self.name = server, name
        self.document: Dict[str, Any] = server.get("/openapi.json").json
        self.asked = 0
        self.operation: Dict[str, Any] = self.document["paths"]["/invocations"]["post"]
        self._schema = as_json_schema(self.document)
        self._connection = self._connect()

    def _connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=30)

    def ask(self, question: Question) -> Said:
        """The answer to a question, which is as documented."""
        for attempt in range(2):
            try:
                send(self._connection, question)
                return self.received(self._connection)
            except (http.client.RemoteDisconnected, ConnectionError):
                # The server may close after it refused; a connection that is new has to be answered
                self._connection.close()
                self._connection = self._connect()
                if attempt:
                    raise
        raise AssertionError("unreachable")

    def ask_at_once(self, questions: Sequence[Question]) -> List[Said]:
        """The answers to questions that are all there before the first is answered."""
        connections = [self._connect() for _ in questions]
        try:
            for connection, question in zip(connections, questions):
                send(connection, question)
            return [self.received(connection) for connection in connections]
        finally:
            for connection in connections:
                connection.close()

    def received(self, connection: http.client.HTTPConnection) -> Said:
        """The next answer of a connection, which is as documented."""
        answer = connection.getresponse()
        said = Said(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
        self.asked += 1
        assert "Traceback" not in said.body.decode("latin-1")
        responses = self.operation["responses"]
        assert str(said.status) in responses, f"{said.status} is not documented: {said.body!r}"
        documented = responses[str(said.status)]["content"]
        kind = said.headers["content-type"]
        assert kind in documented, f"{kind} is not documented for {said.status}"
        if kind == JSON:
            self.check(said.json, documented[JSON]["schema"])
        return said

    def check(self, value: Any, schema: Dict[str, Any]) -> None:
        """That a value is of a schema of the document."""
        jsonschema.Draft7Validator({**self._schema, **as_json_schema(schema)}).validate(value)

    def resident(self) -> int:
        """Bytes of memory that the server holds."""
        return int(psutil.Process(self.server.process.pid).memory_info().rss)


def send(connection: http.client.HTTPConnection, question: Question) -> None:
    headers = {"Content-Type": question.kind, "Accept": question.accept}
    given = {name: value for name, value in headers.items() if value is not None}
    connection.request("POST", "/invocations", question.body, given)


def as_json_schema(value: Any) -> Any:
    """An OpenAPI 3.0 schema as a JSON Schema, which writes otherwise that something may be null."""
    if isinstance(value, list):
        return [as_json_schema(each) for each in value]
    if not isinstance(value, dict):
        return value
    made = {key: as_json_schema(each) for key, each in value.items() if key != "nullable"}
    return {**made, "type": [made["type"], "null"]} if value.get("nullable") is True else made


# ---- questions that are right


def observations(space: spaces.Space, largest: float = 1e6) -> Any:
    """Values of a space, as JSON has them."""
    if isinstance(space, spaces.Dict):
        return st.fixed_dictionaries({key: observations(part, largest) for key, part in space.spaces.items()})
    if isinstance(space, spaces.Tuple):
        return st.tuples(*(observations(part, largest) for part in space.spaces)).map(list)
    if isinstance(space, spaces.Discrete):
        return st.integers(0, space.n - 1)
    if isinstance(space, spaces.MultiDiscrete):
        return st.tuples(*(st.integers(0, int(n) - 1) for n in space.nvec)).map(list)
    if isinstance(space, spaces.MultiBinary):
        return lists((space.n,), st.integers(0, 1))
    if space.dtype.kind == "f":
        return lists(space.shape, st.floats(-largest, largest, width=32) | st.integers(-1000, 1000))
    limits = np.iinfo(space.dtype)
    return lists(space.shape, st.integers(int(limits.min), int(limits.max)))


def lists(shape: Sequence[int], items: Any) -> Any:
    for size in reversed(shape):
        items = st.lists(items, min_size=size, max_size=size)
    return items


def right_questions(space: spaces.Space, memory: int, looks_back: bool = False) -> Any:
    """Requests in every media type with their number of rows, which have to be answered."""
    batches = st.lists(observations(space), min_size=1, max_size=5)
    previous = () if looks_back else ("prev_action", "prev_reward")
    unread: Dict[str, Any] = {name: anything() for name in ("is_training", "seq_lens", *previous)}
    common = st.fixed_dictionaries({}, optional={"deterministic": st.just(True)})

    @st.composite
    def question(draw: Any) -> "tuple[Question, int]":
        rows = draw(batches)
        form = draw(st.sampled_from(("observations", "inputs", "instances", "named", "bare", *MEDIA[1:])))
        inputs = draw(st.fixed_dictionaries({}, optional=unread))
        read = {"state_in_0": lists((memory,), st.floats(-1e6, 1e6, width=32))} if memory else {}
        if looks_back:
            read = {**read, "prev_action": st.integers(0, 2), "prev_reward": st.floats(-1e6, 1e6, width=32)}
        several = {name: st.tuples(*[each] * len(rows)) for name, each in read.items()}
        of_each = draw(st.fixed_dictionaries({}, optional=several))
        columns = {"observations": rows, **inputs, **of_each}
        by_row = [
            {
                "observations": row,
                **{name: draw(anything()) for name in inputs},
                **{name: each[i] for name, each in of_each.items()},
            }
            for i, row in enumerate(rows)
        ]
        bodies: Dict[str, Callable[[], Any]] = {
            "observations": lambda: {**columns, **draw(common)},
            "inputs": lambda: {"inputs": columns, **draw(common)},
            "instances": lambda: {"instances": rows, **draw(common)},
            "named": lambda: {"instances": by_row},
            "bare": lambda: rows,
        }
        if form in bodies:
            return Question(json.dumps(bodies[form]()).encode()), len(rows)
        if form in (JSON_LINES, "application/jsons"):
            lines = by_row if draw(st.booleans()) else rows
            return Question("\n".join(map(json.dumps, lines)).encode(), form), len(rows)
        flat = [list(numbers(space, row)) for row in rows]
        if form == CSV:
            return Question("\n".join(",".join(map(repr, row)) for row in flat).encode(), form), len(rows)
        return Question(npy(np.array(flat), draw(st.booleans())), form), len(rows)

    return question()


def numbers(space: spaces.Space, value: Any) -> Iterator[float]:
    """The numbers of an observation, as one row has them."""
    described = describe(space)
    if described["type"] in ("Dict", "Tuple"):
        parts = space.spaces.items() if described["type"] == "Dict" else enumerate(space.spaces)
        for key, part in parts:
            yield from numbers(part, value[key])
    else:
        yield from np.ravel(value).tolist()


def npy(array: np.ndarray, by_column: bool = False) -> bytes:
    file = io.BytesIO()
    np.save(file, np.asfortranarray(array) if by_column else array)
    return file.getvalue()


# ---- questions that are wrong, or nothing at all


def anything() -> Any:
    """Any JSON value."""
    scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
    names = st.sampled_from(("observations", "instances", "inputs", "state_in_0", "deterministic")) | st.text()
    return st.recursive(scalars, lambda each: st.lists(each) | st.dictionaries(names, each), max_leaves=8)


def wrong_questions(space: spaces.Space, memory: int, looks_back: bool = False) -> Any:
    """Requests of any bytes, of almost any media type."""
    bodies = st.one_of(
        st.binary(max_size=200),
        anything().map(lambda value: json.dumps(value).encode("utf-8", "surrogatepass")),
        right_questions(space, memory, looks_back).map(lambda asked: asked[0].body).flatmap(damaged),
        json_bombs(),
        npy_bombs(),
        csv_bombs(),
    )
    return st.builds(Question, bodies, st.sampled_from(MEDIA) | media_types(), st.none() | accepts())


def damaged(body: bytes) -> Any:
    """A body with a piece cut out, doubled, replaced or read as another encoding."""

    @st.composite
    def damage(draw: Any) -> bytes:
        start, stop = sorted((draw(st.integers(0, len(body))), draw(st.integers(0, len(body)))))
        piece = draw(
            st.sampled_from((b"", body[start:stop] * 2, b"null", b"[", b"NaN", b"-", b"1e999", b"true", b"\0"))
        )
        piece = draw(st.just(piece) | st.binary(max_size=8))
        broken = body[:start] + piece + body[stop:]
        encodings = ("latin-1", "utf-8", "utf-16", "utf-8-sig")
        return broken.decode("latin-1").encode(draw(st.sampled_from(encodings)))

    return damage()


def json_bombs() -> Any:
    """Deep nesting, long numbers, repeated and odd names."""
    depths = st.sampled_from((1, 30, 33, 64, 500, 1023, 1024, 1025, 20_000, 200_000))
    openings = st.sampled_from((b"[", b'{"observations":', b'{"instances":[', b'[{"":'))
    digits = st.sampled_from((b"9" * 19, b"9" * 400, b"1" + b"0" * 308, b"-0", b"1e308", b"-1e39", b"1e-400", b"01"))
    observed = st.sampled_from((b'{"observations":[[%s,0,0,0]]}', b"[[%s,%s,%s,%s]]", b'{"instances":[%s]}', b"%s"))
    return st.one_of(
        st.builds(lambda opening, depth: opening * depth, openings, depths),
        st.builds(lambda depth: b'{"observations":' + b"[" * depth + b"]" * depth + b"}", depths),
        st.builds(lambda form, number: form.replace(b"%s", number), observed, digits),
        st.sampled_from((b'{"observations":[[0,0,0,0]],"observations":[]}', b'["\\ud800"]', b"\xef\xbb\xbf[]", b" ")),
    )


def npy_bombs() -> Any:
    """Heads that lie, that are too long, too deep or no head, and dtypes that are no numbers."""
    texts = st.sampled_from(
        ("<f4", "<f8", ">i2", "|b1", "|O", "|V8", "<M8[s]", "<U3", "<c8", "<f2", "f4,f4", "<g", "", "x")
    )
    dtypes = texts.map(repr) | st.sampled_from(("[('a', '<f4')]", "None", "1", "['<f4']", "('<f4', (2,))", "{}"))
    sizes = st.integers(-2, 5) | st.sampled_from((2**31, 2**40 - 1, 2**62, 2**64, 10**30))
    shapes = st.lists(sizes, max_size=3).map(lambda each: repr(tuple(each))) | st.sampled_from(
        ("(1.0, 4)", "(True, 4)", "'44'", "4", "None", "[1, 4]", "(" * 200 + ")" * 200, repr((1,) * 40), "(1, 4, 1)")
    )
    orders = st.sampled_from(("True", "False", "None", "[]"))
    whole = st.builds(
        lambda dtype, shape, order: f"{{'descr': {dtype}, 'fortran_order': {order}, 'shape': {shape}, }}\n",
        *(dtypes, shapes, orders),
    )
    heads = (
        whole | st.text(max_size=40) | st.sampled_from(("(" * 5000, "-" * 9000, "[" * 90 + "]" * 90, "1" * 9999, "{}"))
    )

    @st.composite
    def file(draw: Any) -> bytes:
        head = draw(heads).encode("latin-1", "replace")
        version = draw(st.sampled_from((b"\1\0", b"\2\0", b"\3\0", b"\0\0", b"\xff\xff")))
        wide = 2 if version == b"\1\0" else 4
        length = draw(st.just(len(head)) | st.integers(0, 2**16 - 1))
        content = draw(st.sampled_from((b"", bytes(8), bytes(16), bytes(32), b"\xff" * 16, bytes(33))))
        made = b"\x93NUMPY" + version + length.to_bytes(wide, "little") + head + content
        return made[: draw(st.just(len(made)) | st.integers(0, len(made)))]

    return file()


def csv_bombs() -> Any:
    """Cells that are no numbers, or hardly."""
    odd = (
        "nan",
        "inf",
        "-inf",
        "1_0",
        "\uff11",
        '"1"',
        "",
        " ",
        "0x10",
        "1e999",
        "\0",
        "1;2",
        "+1",
        "1.",
        "\u0661",
        "\x1c",
    )
    cells = st.sampled_from(odd) | st.integers().map(str) | st.floats().map(repr)
    lines = st.lists(st.lists(cells, max_size=6).map(",".join), max_size=4)
    return st.builds(
        lambda rows, end: end.join(rows).encode(), lines, st.sampled_from(("\n", "\r\n", "\r", "\u2028", ""))
    )


def media_types() -> Any:
    """Content types: ours with parameters, and what is none."""
    parameters = st.sampled_from(
        ("", "; charset=utf-8", ";charset=UTF-16", ';q=0.5;a="b;c"', ";", "; charset", ";=;;=")
    )
    kinds = st.sampled_from((*MEDIA, "Application/JSON", "text/*", "*/*", "json", "/", "", "multipart/form-data"))
    return st.builds(lambda kind, more: kind + more, kinds, parameters) | header_values()


def accepts() -> Any:
    """``Accept``: lists of media types, with weights that are none too."""
    weights = st.sampled_from(("", ";q=0", ";q=1.0", ";q=nan", ";q=-1", ";q=1e400", ";q=", ";q=a"))
    each = st.builds(lambda kind, weight: kind + weight, media_types(), weights)
    return st.lists(each, max_size=4).map(",".join)


def header_values() -> Any:
    """What a header may hold: latin-1 without controls."""
    letters = st.characters(min_codepoint=32, max_codepoint=255, blacklist_categories=("Cc",))
    return st.text(letters, max_size=30)


# ---- what is no HTTP


METHODS = b"""POST
GET
HEAD
OPTIONS
CONNECT
PRI
get
PUT
\0
POST POST
""".split(b"\n")
TARGETS = b"""/invocations
/ping
/
*
//
/../../etc/passwd
/%00
/%zz
/\xff
/ping?a=\xff
http://other/ping
other:443
/invocations#x
/ping\t
""".split(b"\n")
VERSIONS = b"""HTTP/1.1
HTTP/1.0
HTTP/0.9
HTTP/2.0
HTTP/1.1x
HTTP/9.9
ICY
""".split(b"\n")
FIELDS = b"""Host: here
Host:
Content-Type: application/json
Content-Length: 2
Content-Length: -1
Content-Length: +2
Content-Length: 0x2
Content-Length:
Content-Length: 2, 2
Content-Length: 18446744073709551615
Content-Length: 99999999999999999999
Transfer-Encoding: chunked
Transfer-Encoding: gzip
Transfer-Encoding: chunked, chunked
Content-Encoding: gzip
Expect: 100-continue
Connection: close, upgrade
Upgrade: websocket
Upgrade: h2c
HTTP2-Settings: AAMAAABk
Accept: \xff;q=\xff
 folded: here
no colon
: no name
A\0B: x
X: \0
X: \xff\xfe
\r
""".split(b"\n")
BODIES = (
    b"",
    b"[]",
    b"2\r\n[]\r\n0\r\n\r\n",
    b"2\r\n[]",
    b"-1\r\n",
    b"ffffffffffffffff\r\n[]",
    b"2;a=b\r\n[]\r\n0\r\nX: y\r\n\r\n",
    b"GET /ping HTTP/1.1\r\n\r\n",
    b"0\r\n\r\nGET /ping HTTP/1.1\r\n\r\n",
    b"zz\r\n\r\n",
    bytes(100),
)
LONG = (b"X: " + b"a" * 70_000, b"\r\n".join(b"X-%d: 1" % i for i in range(2000)))


def malformed_requests() -> Any:
    """Bytes for a connection."""
    methods, versions, bodies = (st.sampled_from(each) for each in (METHODS, VERSIONS, BODIES))
    targets, fields = st.sampled_from((*TARGETS, b"/" + b"a" * 70_000)), st.sampled_from((*FIELDS, *LONG))
    ends = st.sampled_from((b"\r\n", b"\r\n", b"\r\n", b"\n", b"\r", b""))

    @st.composite
    def request(draw: Any) -> bytes:
        end = draw(ends)
        line = b" ".join((draw(methods), draw(targets), draw(versions)))
        made = end.join([line, *draw(st.lists(fields, max_size=5)), b"", draw(bodies)])
        return made[: draw(st.just(len(made)) | st.integers(0, len(made)))]

    return st.lists(request() | st.binary(max_size=60), min_size=1, max_size=3).map(b"".join)


def statuses(said: bytes) -> List[int]:
    """The statuses of the answers in what a connection said."""
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d\d\d) ", said)]
