"""Content types: what a body asks the policy, and the policy's answer as a body.

A new one is a pair of functions, and a line in ``CODECS``.
"""

from __future__ import annotations

import io
import math
import re
from functools import lru_cache
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import msgspec
import numpy as np
import orjson
from typing_extensions import Annotated, Literal

from rl_app.policies import Outputs, Policy
from rl_app.serving.schema import Column, RequestError, complaint, words

Array = Any

# Inputs of Ray 0.8.5's signature, which change nothing where the network does not take them
SIGNATURE = ("prev_action", "prev_reward", "is_training", "seq_lens")
CONTAINERS = ("observations", "inputs", "instances")
OPTIONS = {
    "deterministic": bool,
    "seed": Optional[Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]],
    "signature_name": Literal["serving_default"],  # TensorFlow Serving's clients may send it
}
# The first bytes of a .npy file: magic, version, length of the header; then the header, which is a Python dict
NPY_MAGIC = b"\x93NUMPY"
NPY_HEADER = re.compile(
    rb"\s*\{\s*'descr'\s*:\s*'([<>|=]?[fiu][1248])'\s*,\s*'fortran_order'\s*:\s*(True|False)\s*,"
    rb"\s*'shape'\s*:\s*\(([\d\s,]*)\)\s*,?\s*\}\s*"
)
LARGEST_NPY_HEADER = 4096


class Query(NamedTuple):
    """What one request asks.

    ``observations`` is [batch, observation_size]; ``state`` and ``previous`` have the same batch. ``batched`` is
    False for one observation alone; ``by_row`` True where the answer is a list of rows.
    """

    observations: Array
    batched: bool
    by_row: bool = False
    deterministic: bool = True
    seed: Optional[int] = None
    state: Sequence[Array] = ()
    previous: Mapping[str, Array] = {}


class Answer(NamedTuple):
    """The policy's outputs for one query, each with the batch first."""

    outputs: Outputs
    query: Query


class Reader:
    """What the readers take to know of the policy: its columns, and how they make a query."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.space = policy.observation_space
        self.columns = {"observations": Column(self.space, policy.observation_size, policy.flatten)}
        for i, length in enumerate(policy.state_sizes):
            self.columns[f"state_in_{i}"] = _numbers((length,))
        for name in ("prev_action", "prev_reward"):
            if name in policy.inputs:
                self.columns[name] = _numbers(policy.inputs[name].shape or ())
        self._observations = self.columns["observations"]
        self.named = (*self.columns, *(name for name in SIGNATURE if name not in self.columns))

    def query(self, fields: Mapping[str, Any], where: str = "", **options: Any) -> Query:
        """The query of named pieces of JSON, which lie in ``where``.

        Raises:
            RequestError: one is unknown or not what the policy takes, or they are not of one batch.
        """
        for name in fields:
            if name not in self.named:
                known = self.named if where else (*self.named, "inputs", "instances", *OPTIONS)
                raise RequestError(f"{where}{name}: no such field; there are {', '.join(known)}")
        if "observations" not in fields:
            raise RequestError(f"{where}observations: missing")
        values, batched = self._observations.read(fields["observations"], f"{where}observations")
        if len(fields) == 1:
            return Query(values, batched, **options)
        others: Dict[str, Array] = {}
        for name, column in self.columns.items():
            if name == "observations" or name not in fields:
                continue
            others[name], in_list = column.read(fields[name], f"{where}{name}")
            if in_list != batched or len(others[name]) != len(values):
                expected = f"a list of {len(values)}" if batched else "one, in no list"
                raise RequestError(f"{where}{name}: {expected} is expected, as of observations")
        states = [f"state_in_{i}" for i in range(len(self.policy.state_sizes))]
        given = [name for name in states if name in others]
        if given and given != states:
            raise RequestError(f"{where}{given[0]}: {' and '.join(states)} are expected together")
        previous = {name: others[name] for name in SIGNATURE if name in others}
        return Query(values, batched, state=[others[name] for name in given], previous=previous, **options)

    def table(self, rows: Array, what: str) -> Query:
        """The query of an array of numbers: a row an observation, as the space has it or flat.

        Raises:
            RequestError: the array has another shape.
        """
        size = self.policy.observation_size
        own = tuple(self.space["shape"]) if self.space["type"] == "Box" else (size,)
        if self.space["type"] == "Discrete" and rows.ndim in (1, 2) and rows.size == len(rows) > 0:
            states = rows.reshape(-1)
            if not np.isin(states, np.arange(size)).all():
                raise RequestError(f"{what}: {words(self.space)} is expected in each row")
            return Query(self.policy.flatten(states.astype(np.int64)), batched=True)
        batched = rows.ndim > 0 and rows.shape[1:] in (own, (size,))
        if rows.size == 0 or not (batched or rows.shape == own):
            raise RequestError(f"{what}: rows of {size} numbers are expected, not the shape {list(rows.shape)}")
        return Query(rows.reshape(-1, size).astype(self.policy.dtype), batched)

    def is_observation(self, fields: Mapping[str, Any]) -> bool:
        """Whether an object is an observation of a Dict space, and no object that has one."""
        return self.space["type"] == "Dict" and set(fields) == set(self.space["spaces"])


def _numbers(shape: Sequence[int]) -> Column:
    def to_rows(values: List[Any]) -> Array:
        return np.array(values, np.float64).reshape(-1, *shape)

    return Column({"type": "Box", "shape": list(shape)}, math.prod(shape), to_rows)


# ---- application/json, application/jsonlines

_DECODERS = {name: msgspec.json.Decoder(kind) for name, kind in OPTIONS.items()}
_FIELDS = msgspec.json.Decoder(Dict[str, msgspec.Raw])
_ROWS = msgspec.json.Decoder(List[Dict[str, msgspec.Raw]])


def read_json(body: bytes, reader: Reader) -> Query:
    """Observations alone, or an object that has them in one of three forms.

    ``{"observations": …}``, TensorFlow Serving's ``{"inputs": {"observations": …}}``, and by row
    ``{"instances": [{"observations": …}, …]}``; ``inputs`` and ``instances`` may be the observations themselves.

    Raises:
        RequestError: anything else.
    """
    if not body.lstrip().startswith(b"{"):
        return reader.query({"observations": body})
    fields = _decoded(_FIELDS, body, "")
    if reader.is_observation(fields):
        return reader.query({"observations": body})
    options = {} if len(fields) == 1 else _options(fields)
    if "inputs" not in fields and "instances" not in fields:
        return reader.query(fields, **options)
    (container, *others) = sorted(fields, key=lambda name: name not in ("inputs", "instances"))
    if others:
        raise RequestError(f"{others[0]}: not expected beside {container}")
    if container == "inputs":
        return _read_inputs(fields["inputs"], reader, options)
    return _read_instances(fields["instances"], reader, options)


def _options(fields: Dict[str, Any]) -> Dict[str, Any]:
    """The options, which are taken out of the fields."""
    options = {name: _decoded(_DECODERS[name], fields.pop(name), name) for name in OPTIONS if name in fields}
    options.pop("signature_name", None)
    return options


def read_jsonlines(body: bytes, reader: Reader) -> Query:
    """A line an instance: an observation, or an object that has one.

    Raises:
        RequestError: there is none, or a line is none.
    """
    lines = [line for line in body.splitlines() if line.strip()]
    if not lines:
        raise RequestError("the body: a line for each observation is expected")
    return _read_instances(b"[" + b",".join(lines) + b"]", reader, {})


def _read_inputs(raw: Any, reader: Reader, options: Mapping[str, Any]) -> Query:
    if _opening(raw) == b"{":
        fields = _decoded(_FIELDS, raw, "inputs")
        if not reader.is_observation(fields):
            return reader.query(fields, "inputs.", **options)
    return reader.query({"observations": raw}, "inputs: ", **options)


def _read_instances(raw: Any, reader: Reader, options: Mapping[str, Any]) -> Query:
    if re.match(rb"\[\s*\{", memoryview(raw)):
        rows = _decoded(_ROWS, raw, "instances", "each is an object, or none is")
        if not reader.is_observation(rows[0]):
            for i, row in enumerate(rows):
                if row.keys() != rows[0].keys():
                    raise RequestError(f"instances[{i}]: the fields are not those of the first")
            fields = {name: b"[" + b",".join([bytes(row[name]) for row in rows]) + b"]" for name in rows[0]}
            return reader.query(fields, "instances: ", by_row=True, **options)
    query = reader.query({"observations": raw}, "instances: ", by_row=True, **options)
    if not query.batched:
        raise RequestError(f"instances: a list is expected, in which each is {words(reader.space)}")
    return query


def _opening(raw: Any) -> bytes:
    return bytes(memoryview(raw)[:1])


def _decoded(decoder: Any, raw: Any, name: str, expected: str = "") -> Any:
    try:
        return decoder.decode(raw)
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        raise complaint(error, name, expected) from None


def write_json(answer: Answer) -> bytes:
    """``{"outputs": …}`` by name, or ``{"predictions": …}`` by row where the query was by row."""
    outputs = answer.outputs
    if answer.query.by_row:
        return orjson.dumps({"predictions": _rows(outputs)}, option=orjson.OPT_SERIALIZE_NUMPY)
    if not answer.query.batched:
        outputs = {name: column[0] for name, column in outputs.items()}
    return orjson.dumps({"outputs": outputs}, option=orjson.OPT_SERIALIZE_NUMPY)


def write_jsonlines(answer: Answer) -> bytes:
    """A line of all outputs for each observation."""
    option = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE
    return b"".join([orjson.dumps(row, option=option) for row in _rows(answer.outputs)])


def _rows(outputs: Outputs) -> List[Dict[str, Any]]:
    return [dict(zip(outputs, row)) for row in zip(*outputs.values())]


# ---- text/csv, application/x-npy: numbers alone in, actions alone out


def read_csv(body: bytes, reader: Reader) -> Query:
    """A line an observation, flat, without a header.

    Raises:
        RequestError: a cell is no number, or a line has too few or too many.
    """
    try:
        lines = [line.split(",") for line in body.decode("utf-8").splitlines() if line.strip()]
    except UnicodeDecodeError as error:
        raise RequestError(f"the body: no UTF-8 at byte {error.start}") from None
    for i, line in enumerate(lines):
        if len(line) != len(lines[0]):
            raise RequestError(f"line {i + 1}: {len(lines[0])} numbers are expected, as in the first, not {len(line)}")
    try:
        return reader.table(np.array(lines, np.float64), "the table")
    except ValueError:
        raise RequestError(_first_word(lines)) from None


def _first_word(lines: List[List[str]]) -> str:
    for i, line in enumerate(lines):
        for j, cell in enumerate(line):
            try:
                float(cell)
            except ValueError:
                return f"line {i + 1}, column {j + 1}: a number is expected, not {cell.strip()[:40]!r}; no header"
    raise AssertionError("every cell is a number")


def write_csv(answer: Answer) -> bytes:
    """A line of the action's numbers for each observation."""
    columns = [column.reshape(len(column), -1) for column in _actions(answer)]
    rows = columns[0] if len(columns) == 1 else [[x for part in row for x in part] for row in zip(*columns)]
    return orjson.dumps(rows, option=orjson.OPT_SERIALIZE_NUMPY)[2:-2].replace(b"],[", b"\n") + b"\n"


def read_npy(body: bytes, reader: Reader) -> Query:
    """An array of numbers, one observation or a batch of them, raw or flat.

    The header is matched by a pattern and not evaluated, so that nothing but numbers can be in the file.

    Raises:
        RequestError: no such file, another dtype, or not as long as its header says.
    """
    version = body[len(NPY_MAGIC) : len(NPY_MAGIC) + 1]
    if not body.startswith(NPY_MAGIC) or version not in (b"\x01", b"\x02", b"\x03"):
        raise RequestError("the body: an array as numpy.save writes it is expected")
    start = len(NPY_MAGIC) + 2 + (2 if version == b"\x01" else 4)
    length = int.from_bytes(body[len(NPY_MAGIC) + 2 : start], "little")
    header = NPY_HEADER.fullmatch(body[start : start + min(length, LARGEST_NPY_HEADER)])
    if header is None:
        raise RequestError("the header: an array of floats or integers (of 1 to 8 bytes) is expected")
    dtype, shape = np.dtype(header[1].decode()), tuple(int(part) for part in header[3].split(b",") if part.strip())
    data = body[start + length :]
    if len(data) != dtype.itemsize * math.prod(shape):
        raise RequestError(f"the body: {dtype} of the shape {list(shape)} is expected, not {len(data)} bytes")
    array = np.frombuffer(data, dtype).reshape(shape, order="F" if header[2] == b"True" else "C")
    return reader.table(array, "the array")


def write_npy(answer: Answer) -> bytes:
    """The actions as an array: [batch], or [batch, numbers of an action]."""
    columns = _actions(answer)
    if len(columns) > 1:
        columns = [np.concatenate([column.reshape(len(column), -1) for column in columns], axis=1)]
    file = io.BytesIO()
    np.save(file, columns[0] if answer.query.batched else columns[0][0], allow_pickle=False)
    return file.getvalue()


def _actions(answer: Answer) -> List[Array]:
    return [column for name, column in answer.outputs.items() if name.startswith("actions_")]


# ---- the table


class Codec(NamedTuple):
    """How a content type is read and written. ``read`` raises RequestError for what is not of the type."""

    read: Callable[[bytes, Reader], Query]
    write: Callable[[Answer], bytes]


CODECS: Dict[str, Codec] = {
    "application/json": Codec(read_json, write_json),
    "application/jsonlines": Codec(read_jsonlines, write_jsonlines),
    "text/csv": Codec(read_csv, write_csv),
    "application/x-npy": Codec(read_npy, write_npy),
}
DEFAULT = "application/json"


@lru_cache(maxsize=256)
def content_type(header: bytes) -> str:
    """The content type of a request; its parameters, which change nothing here, are left out.

    Raises:
        RequestError: 415, for one that is not in the table.
    """
    name = header.decode("latin-1").partition(";")[0].strip().lower() or DEFAULT
    if name not in CODECS:
        raise RequestError(f"Content-Type {name[:80]}: expected is one of {', '.join(CODECS)}", status=415)
    return name


@lru_cache(maxsize=256)
def accepted(header: bytes, own: str) -> str:
    """The content type to answer in: the one of the highest q in ``Accept``, of equals the request's ``own``.

    Raises:
        RequestError: 406, where none in the table is accepted.
    """
    wanted = [_media_range(part) for part in header.decode("latin-1").lower().split(",") if part.strip()]
    best = max([own, *CODECS], key=lambda name: _quality(name, wanted)) if wanted else own
    if wanted and _quality(best, wanted) <= 0:
        raise RequestError(
            f"Accept {header.decode('latin-1')[:80]}: expected is one of {', '.join(CODECS)}", status=406
        )
    return best


def _media_range(part: str) -> Tuple[str, float]:
    name, *parameters = (piece.strip() for piece in part.split(";"))
    quality = next((parameter[2:] for parameter in parameters if parameter.startswith("q=")), "1")
    return name, float(quality) if re.fullmatch(r"[01](\.\d{0,3})?", quality) else 0.0


def _quality(name: str, wanted: Sequence[Tuple[str, float]]) -> float:
    """The q of the most specific range that has the name; 0 where none has."""
    for matching in (name, f"{name.split('/')[0]}/*", "*/*"):
        for candidate, quality in wanted:
            if candidate == matching:
                return quality
    return 0.0
