"""Media types: what a request's body becomes, and what an answer looks like.

A new one is a function in :data:`DECODERS` and one in :data:`ENCODERS`.
"""

from __future__ import annotations

import difflib
import io
import math
import re
import struct
from functools import lru_cache
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy as np
import orjson

from rl_app.policies import Input, Outputs, Policy
from rl_app.serving.observations import Array, Observations, kind_of, numbers
from rl_app.serving.refusal import Refusal, bad

JSON, CSV, JSON_LINES, NPY = "application/json", "text/csv", "application/jsonlines", "application/x-npy"
FORMS = ("observations", "inputs", "instances")
"""The three ways in which JSON gives observations."""
SIGNATURE = ("is_training", "seq_lens")
"""Inputs of Ray's signature that say nothing about one step of a policy that plays: taken, and not read."""
LOOKING_BACK = ("prev_action", "prev_reward")
"""The same where the network does not look back."""
NUMBERS = (float, int)
SERVING_DEFAULT = "serving_default"


class Question(NamedTuple):
    """What a request asks the policy: a step for each row.

    ``flat`` is [batch, observation_size]; each of ``state`` is [batch, size]; ``previous`` holds ``prev_action`` and
    ``prev_reward``, with the batch first, for networks that take them. ``by_row``: the answer is one for each row.
    """

    flat: Array
    state: Sequence[Array] = ()
    previous: Mapping[str, Array] = {}
    deterministic: bool = True
    by_row: bool = False


class Reader:
    """Reads requests for one policy. All methods raise Refusal for what the client can mend."""

    def __init__(self, policy: Policy) -> None:
        self._observations = Observations(policy)
        self._plain_width = self._observations.columns if self._observations.plain else None
        self._state_sizes = policy.state_sizes
        self._looking_back = {name: policy.inputs[name] for name in LOOKING_BACK if name in policy.inputs}
        self._unsampled = policy.unsampled
        states = [f"state_in_{i}" for i in range(len(policy.state_sizes))]
        self._states = states
        self.fields = ("observations", *states, *LOOKING_BACK, *SIGNATURE)

    # ---- a decoder for each media type

    def json(self, body: bytes) -> Question:
        """``{"observations": …}``, TensorFlow Serving's ``inputs`` and ``instances``, or just the observations."""
        return self.question(load(body, "body"))

    def json_lines(self, body: bytes) -> Question:
        """An observation a line, or an object a line with ``observations`` and what goes with it."""
        lines = [line for line in body.split(b"\n") if line.strip()]
        rows = [load(line, f"line {number}") for number, line in enumerate(lines, 1)]
        if not rows:
            raise bad("body: the batch is empty; at least one line is expected")
        return self.question({"instances": rows})

    def csv(self, body: bytes) -> Question:
        """An observation a line, its numbers in the order of the flat vector's parts."""
        try:
            text = body.decode("utf-8")
        except UnicodeDecodeError as error:
            raise bad(f"body: byte {error.start} is no UTF-8") from None
        rows: List[List[float]] = []
        for number, line in enumerate(text.splitlines(), 1):
            if line.strip():
                rows.append(numbers_of(line, number, self._observations.columns))
        if not rows:
            raise bad("body: the batch is empty; at least one line of numbers is expected")
        return Question(self._observations.from_array(np.array(rows), "body"))

    def npy(self, body: bytes) -> Question:
        """A NumPy array of numbers, never one of pickled objects."""
        return Question(self._observations.from_array(read_npy(body), "body"))

    # ---- the same for most requests, of which many are read at once

    def vector(self, given: Any) -> Optional[List[Any]]:
        """The numbers of ``{"observations": …}`` with one plain observation, yet to be checked; None for the rest."""
        if type(given) is not dict or len(given) != 1 or "observations" not in given:
            return None
        value = given["observations"]
        if type(value) is list and len(value) == 1 and type(value[0]) is list:
            (value,) = value
        fits = type(value) is list and len(value) == self._plain_width and type(value[0]) in NUMBERS
        return value if fits else None

    def vectors(self, vectors: Sequence[List[Any]]) -> Optional[Array]:
        """Many of them as flat vectors; None where one of them is no observation."""
        return self._observations.vectors(vectors)

    def question_of(self, vector: List[Any]) -> Question:
        """One of them alone."""
        return Question(self._observations.from_json([vector]))

    # ---- what JSON holds

    def question(self, given: Any) -> Question:
        """What a value of JSON asks."""
        if isinstance(given, list):
            return Question(self._observations.from_json(given, "body"))
        if not isinstance(given, dict):
            raise bad(f"body: expected an object or a list of observations, got {kind_of(given)}")
        forms = [form for form in FORMS if form in given]
        if not forms and given:
            raise bad(unknown(next(iter(given)), FORMS))
        if len(forms) != 1:
            raise bad(f"body: expected one of {', '.join(FORMS)}, got {' and '.join(forms) or 'none of them'}")
        values, common = dict(given), forms[0]
        deterministic = self._deterministic(values.pop("deterministic", True))
        if values.pop("signature_name", SERVING_DEFAULT) != SERVING_DEFAULT:
            raise bad(f'signature_name: expected "{SERVING_DEFAULT}"')
        if common == "observations":
            return self._columns(values, deterministic)
        content = values.pop(common)
        if values:
            raise bad(unknown(next(iter(values)), ("deterministic", common)))
        if common == "inputs":
            return self._columns(content if self._named(content) else {"observations": content}, deterministic)
        return self._instances(content, deterministic)

    def _named(self, content: Any) -> bool:
        """Whether an object gives observations under that name, and is no observation of a Dict space itself."""
        if not isinstance(content, dict):
            return False
        space = self._observations.space
        return not (space["type"] == "Dict" and set(content) <= set(space["spaces"]))

    def _columns(self, given: Mapping[str, Any], deterministic: bool, by_row: bool = False) -> Question:
        """Each input by its name, with the batch first."""
        for name in given:
            if name not in self.fields:
                raise bad(unknown(name, self.fields))
        if "observations" not in given:
            raise bad("observations: is missing")
        flat = self._observations.from_json(given["observations"])
        state = self._state(given, len(flat))
        previous = {
            name: column(given[name], given_as, len(flat), name)
            for name, given_as in self._looking_back.items()
            if name in given
        }
        return Question(flat, state, previous, deterministic, by_row)

    def _instances(self, rows: Any, deterministic: bool) -> Question:
        """TensorFlow Serving's rows: an observation each, or an object of inputs each."""
        if not isinstance(rows, list):
            raise bad(f"instances: expected a list, got {kind_of(rows)}")
        if not rows:
            raise bad("instances: the batch is empty; at least one observation is expected")
        if not self._named(rows[0]):
            return Question(self._observations.from_json(rows, "instances"), (), {}, deterministic, True)
        names = list(rows[0])
        for index, row in enumerate(rows):
            if not isinstance(row, dict) or set(row) != set(names):
                raise bad(f"instances[{index}]: expected the same fields in each instance: {', '.join(names)}")
        return self._columns({name: [row[name] for row in rows] for name in names}, deterministic, True)

    def _state(self, given: Mapping[str, Any], rows: int) -> List[Array]:
        there = [name for name in self._states if name in given]
        for name in self._states if there else ():
            if name not in given:
                raise bad(f"{name}: is missing, though {there[0]} is given")
        sizes = zip(self._states, self._state_sizes)
        return [column(given[name], Input(np.float32, (size,)), rows, name) for name, size in sizes] if there else []

    def _deterministic(self, value: Any) -> bool:
        if not isinstance(value, bool):
            raise bad(f"deterministic: expected true or false, got {kind_of(value)}")
        if not value and self._unsampled is not None:
            raise bad(f"deterministic: false: {self._unsampled}")
        return value


def load(text: bytes, name: str) -> Any:
    """The value of a JSON text."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        said = str(error)
    if re.search(rb"\b(NaN|-?Infinity)\b", text) or "infinity" in said:
        raise bad(f"{name}: NaN and infinity are no numbers of JSON, nor of an observation ({said})")
    raise bad(f"{name}: malformed JSON: {said}")


def column(value: Any, given: Input, rows: int, name: str) -> Array:
    """One input with the batch first, as many rows as there are observations; one row may come without the batch."""
    shape = given.shape or ()
    array = numbers(value)
    if array is not None and rows == 1 and array.shape == shape:
        array = array[None]
    if array is None or array.shape != (rows, *shape):
        got = "" if array is None else f" got {list(array.shape)}"
        raise bad(f"{name}: expected numbers of the shape {[rows, *shape]},{got or ' got something else'}")
    array = array.astype(given.dtype)
    if not np.isfinite(array).all():
        raise bad(f"{name}: holds a number that is not finite")
    return array


def unknown(name: str, known: Sequence[str]) -> str:
    """What to say of a field that there is not."""
    name = name[:64]  # a client's own, and difflib's time grows with it
    near = difflib.get_close_matches(name, known, 1)
    return f"{name}: unknown field{f'; did you mean {near[0]}?' if near else ''}; known are {', '.join(known)}"


def numbers_of(line: str, number: int, columns: int) -> List[float]:
    """The numbers of one line of CSV."""
    cells = line.split(",")
    if len(cells) != columns:
        raise bad(f"line {number}: expected {columns} numbers, got {len(cells)}")
    values = []
    for index, cell in enumerate(cells, 1):
        try:
            values.append(float(cell))
        except ValueError:
            raise bad(f"line {number}, column {index}: {cell.strip()[:32]!r} is no number") from None
    return values


NPY_HEADER = re.compile(
    r"\{\s*'descr':\s*'(?P<dtype>[<>|=]?[iufb]\d{1,2})',\s*'fortran_order':\s*(?P<by_column>True|False),"
    r"\s*'shape':\s*\((?P<shape>[\d\s,]{0,200})\),?\s*\}\s*"
)
"""What NumPy writes for an array of numbers (its NEP 1): a literal of Python's, which is matched and not evaluated."""


def read_npy(body: bytes) -> Array:
    """The array of a .npy file, without copying it, and without trusting what it says of its size."""
    if body[:6] != b"\x93NUMPY" or len(body) < 12 or body[6] not in (1, 2, 3):
        raise bad("body: no .npy file")
    layout, start = ("<H", 10) if body[6] == 1 else ("<I", 12)
    (length,) = struct.unpack(layout, body[8:start])
    header = NPY_HEADER.fullmatch(body[start : start + min(length, 1000)].decode("latin-1"))
    if header is None:
        raise bad("body: no header of a .npy file that holds numbers")
    try:
        dtype = np.dtype(header["dtype"])
    except TypeError:
        raise bad(f"body: the .npy file's dtype {header['dtype']} is unknown") from None
    shape = [int(size) for size in header["shape"].split(",") if size.strip().isdigit()]
    content, expected = body[start + length :], math.prod(shape) * dtype.itemsize
    if len(shape) > 32:  # as many as NumPy's arrays can have
        raise bad(f"body: the .npy file's array has {len(shape)} dimensions")
    if expected != len(content):
        raise bad(f"body: the .npy file should hold {expected} bytes, and holds {len(content)}")
    return np.frombuffer(content, dtype).reshape(shape, order="F" if header["by_column"] == "True" else "C")


DECODERS: Dict[str, Callable[[Reader, bytes], Question]] = {
    JSON: Reader.json,
    JSON_LINES: Reader.json_lines,
    "application/jsons": Reader.json_lines,
    CSV: Reader.csv,
    NPY: Reader.npy,
}

# ---- answers


def as_json(outputs: Outputs, by_row: bool) -> bytes:
    """``{"outputs": {name: [batch, …]}}``, or ``{"predictions": [{name: …}, …]}``."""
    answer: Dict[str, Any] = {"predictions": rows_of(outputs)} if by_row else {"outputs": outputs}
    return orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)


def as_json_each(outputs: Outputs) -> Optional[List[bytes]]:
    """What :func:`answered` gives for each row alone, for all rows in the time of a few.

    None where it cannot be had so: an output has more than two dimensions, or something in it is not finite.
    """
    template, columns = [], []
    for name, values in outputs.items():
        text = orjson.dumps(values, option=orjson.OPT_SERIALIZE_NUMPY)
        if values.ndim > 2 or b"null" in text:
            return None
        flat = values.ndim == 1
        columns.append(text[1:-1].split(b",") if flat else text[2:-2].split(b"],["))
        template.append(b'"%s":%s' % (name.encode(), b"[%s]" if flat else b"[[%s]]"))
    body = b'{"outputs":{%s}}' % b",".join(template)
    return [body % row for row in zip(*columns)]


def as_json_lines(outputs: Outputs, _: bool) -> bytes:
    """An object a line."""
    return b"".join(
        orjson.dumps(row, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE) for row in rows_of(outputs)
    )


def as_csv(outputs: Outputs, _: bool) -> bytes:
    """The action a line; an action of several numbers has its parts in their order."""
    columns = [part.reshape(len(part), -1).tolist() for part in actions_of(outputs)]
    return "".join(",".join(repr(value) for part in row for value in part) + "\n" for row in zip(*columns)).encode()


def as_npy(outputs: Outputs, _: bool) -> bytes:
    """The actions as one array; the parts of a Tuple stand beside each other."""
    parts = actions_of(outputs)
    joined = parts[0] if len(parts) == 1 else np.concatenate([part.reshape(len(part), -1) for part in parts], axis=1)
    file = io.BytesIO()
    np.save(file, joined, allow_pickle=False)
    return file.getvalue()


def rows_of(outputs: Outputs) -> List[Dict[str, Any]]:
    """The outputs of each row."""
    names = list(outputs)
    return [dict(zip(names, values)) for values in zip(*outputs.values())]


def actions_of(outputs: Outputs) -> List[Array]:
    """``actions_0``, ``actions_1``, …"""
    found: List[Array] = []
    while f"actions_{len(found)}" in outputs:
        found.append(outputs[f"actions_{len(found)}"])
    return found


ENCODERS: Dict[str, Callable[[Outputs, bool], bytes]] = {
    JSON: as_json,
    JSON_LINES: as_json_lines,
    CSV: as_csv,
    NPY: as_npy,
}


class Media(NamedTuple):
    """The media types of a request and of its answer."""

    request: str
    answer: str


@lru_cache(maxsize=256)
def negotiate(content_type: bytes, accept: bytes) -> Media:
    """What two headers, b"" where they are not there, ask for; parameters count.

    Without ``Accept`` the answer is of the request's type.

    Raises:
        Refusal: 415 for a body that cannot be read, 406 for an answer that cannot be made.
    """
    kind, parameters = parsed(content_type.decode("latin-1") or JSON)
    if kind not in DECODERS:
        raise Refusal(415, f"Content-Type: {kind[:64]} is not supported; supported are {', '.join(DECODERS)}")
    charset = parameters.get("charset", "utf-8").lower()
    if charset not in ("utf-8", "utf8", "us-ascii"):
        raise Refusal(415, f"Content-Type: the charset {charset[:64]} is not supported; supported is utf-8")
    own = kind if kind in ENCODERS else JSON_LINES
    return Media(kind, accepted(accept.decode("latin-1"), own))


def accepted(accept: str, own: str) -> str:
    """The media type that suits ``Accept`` best, ``own`` where it says nothing."""
    wanted: List[Tuple[float, str]] = []
    for part in accept.split(",") if accept.strip() else ["*/*"]:
        kind, parameters = parsed(part)
        wanted.append((quality(parameters), kind))
    for q, kind in sorted(wanted, key=lambda each: -each[0]):
        choices = [own, *(each for each in ENCODERS if each != own)]
        fits = next((each for each in choices if matches(kind, each)), None)
        if q > 0 and fits:
            return fits
    raise Refusal(406, f"Accept: {accept[:64]} cannot be answered; there are {', '.join(ENCODERS)}")


def parsed(header: str) -> Tuple[str, Dict[str, str]]:
    """A media type and its parameters."""
    kind, *rest = header.split(";")
    pairs = (part.partition("=") for part in rest)
    return kind.strip().lower(), {name.strip().lower(): value.strip().strip('"') for name, _, value in pairs}


def quality(parameters: Mapping[str, str]) -> float:
    """How much a media type is wanted, 0 to 1."""
    try:
        return float(parameters.get("q", "1"))
    except ValueError:
        return 0.0


def matches(wanted: str, kind: str) -> bool:
    """Whether a media type is what is wanted; ``application/jsons`` is AWS's other name for JSON lines."""
    return wanted in (kind, "*/*", f"{kind.partition('/')[0]}/*") or (wanted, kind) == ("application/jsons", JSON_LINES)


SHORT = 8192
"""Bytes of an answer up to which its text is read in less time than its numbers are."""
DENSITIES = ("action_logp", "action_prob")
"""Outputs that are infinite where a distribution is narrow, and the action is none the worse for it."""


def answered(outputs: Outputs, media: str, by_row: bool) -> bytes:
    """The body of an answer; raises Refusal where the network overflowed, for then its action means nothing."""
    body = ENCODERS[media](outputs, by_row)
    # JSON has null in place of what is not finite, and for nothing else: where it is short, a look at it is the quicker
    looks_finite = len(body) < SHORT and media in (JSON, JSON_LINES) and b"null" not in body
    if not looks_finite and not are_finite(outputs):
        raise bad("observations: so large that the network's answer is not finite")
    return body


def are_finite(outputs: Outputs) -> bool:
    """Whether all outputs but densities are numbers."""
    return all(np.isfinite(values).all() for name, values in outputs.items() if name not in DENSITIES)


def refused(refusal: Optional[Refusal]) -> bytes:
    """The body of a refusal; without one, of our own failure."""
    text = "the server failed to answer; its log says why" if refusal is None else str(refusal)
    return orjson.dumps({"error": text})
