"""Spaces as types that msgspec reads JSON by: strict numbers, exact lengths, and a path in every complaint."""

from __future__ import annotations

import re
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Sequence, Tuple

import msgspec
import numpy as np
from typing_extensions import Annotated

Array = Any
Space = Mapping[str, Any]

_OPENING = re.compile(rb"[ \t\r\n\[]*")


class RequestError(Exception):
    """What the client can mend. The text is one sentence; ``status`` is 4xx."""

    def __init__(self, sentence: str, status: int = 400, headers: Tuple[Tuple[str, str], ...] = ()) -> None:
        super().__init__(sentence)
        self.status, self.headers = status, headers


def value_type(space: Space) -> Any:
    """The type of one value of the space, as JSON writes it."""
    kind = space["type"]
    if kind == "Box":
        return _numbers(space["shape"])
    if kind == "Discrete":
        return _integer(space["n"])
    if kind == "MultiDiscrete":
        return Tuple[tuple(_integer(n) for n in space["nvec"])]
    if kind == "MultiBinary":
        return _list(_integer(2), space["n"])
    if kind == "Tuple":
        return Tuple[tuple(value_type(part) for part in space["spaces"])]
    return _object(space["spaces"])


def batch_type(item: Any) -> Any:
    """The type of one value or more in a list."""
    return Annotated[List[item], msgspec.Meta(min_length=1)]


def _numbers(shape: Sequence[int]) -> Any:
    made: Any = float
    for length in reversed(shape):
        made = _list(made, length)
    return made


def _list(item: Any, length: int) -> Any:
    return Annotated[List[item], msgspec.Meta(min_length=length, max_length=length)]


def _integer(below: int) -> Any:
    return Annotated[int, msgspec.Meta(ge=0, lt=below)]


def _object(parts: Mapping[str, Space]) -> Any:
    """A struct with the keys of a Dict space, which need not be identifiers, read like a dict."""
    fields = {key: f"part_{i}" for i, key in enumerate(parts)}
    return msgspec.defstruct(
        "Observation",
        [(fields[key], value_type(part)) for key, part in parts.items()],
        rename={field: key for key, field in fields.items()},
        forbid_unknown_fields=True,
        namespace={"__getitem__": lambda self, key: getattr(self, fields[key])},
    )


def words(space: Space) -> str:
    """One value of the space in words."""
    kind = space["type"]
    if kind == "Box":
        return f"{' x '.join(map(str, space['shape']))} numbers" if space["shape"] else "a number"
    if kind == "Discrete":
        return f"an integer from 0 to {space['n'] - 1}"
    if kind == "MultiDiscrete":
        return f"{len(space['nvec'])} integers, each at least 0 and below {', '.join(map(str, space['nvec']))}"
    if kind == "MultiBinary":
        return f"{space['n']} times 0 or 1"
    if kind == "Tuple":
        return f"a list of {len(space['spaces'])}: {', '.join(words(part) for part in space['spaces'])}"
    return f"an object of {', '.join(f'{key} ({words(part)})' for key, part in space['spaces'].items())}"


class Form(NamedTuple):
    """One way to write values: a list of them or one alone; of the space, or as RLlib's flat vectors."""

    decoder: Any
    batched: bool
    flat: bool


class Column:
    """One named input of a request: a value of the space for each observation."""

    def __init__(self, space: Space, width: int, to_rows: Callable[[List[Any]], Array]) -> None:
        """``to_rows`` makes [batch, width] of a list of values; the flat vectors are as long too."""
        self.space = space
        self._to_rows = to_rows
        self._batch = msgspec.json.Decoder(batch_type(value_type(space)))
        self._forms = _forms(space, width)

    def read(self, raw: Any, name: str) -> Tuple[Array, bool]:
        """The values of a piece of JSON as [batch, width], and whether they came as a batch.

        Raises:
            RequestError: names the place and what is expected there.
        """
        try:
            return self._to_rows(self._batch.decode(raw)), True
        except (msgspec.MsgspecError, RecursionError, ValueError):
            return self._read_other(raw, name)

    def _read_other(self, raw: Any, name: str) -> Tuple[Array, bool]:
        """Tries the forms that open with as many brackets; where there are none, those with nearly as many."""
        opening = _OPENING.match(memoryview(raw))
        nesting = opening.group().count(b"[") if opening else 0
        complaints: List[RequestError] = []
        for form in self._forms[min(self._forms, key=lambda known: abs(known - nesting))]:
            try:
                value = form.decoder.decode(raw)
            except (msgspec.MsgspecError, RecursionError, ValueError) as error:
                complaints.append(complaint(error, name, f"each is {words(self.space)}"))
                continue
            values = value if form.batched else [value]
            return (np.array(values) if form.flat else self._to_rows(values)), form.batched
        raise complaints[0]


def complaint(error: Exception, name: str, expected: str = "") -> RequestError:
    """msgspec's error as one sentence about the field ``name`` (empty for the whole body)."""
    if isinstance(error, RecursionError):
        sentence, path = "nested too deep", ""
    else:
        sentence, _, path = str(error).partition(" - at `$")
    place = f"{name}{path.rstrip('`')}".lstrip(".") or "the body"
    return RequestError(
        "; ".join(part for part in (f"{place}: {sentence[:1].lower()}{sentence[1:]}", expected) if part)
    )


def _forms(space: Space, width: int) -> Dict[int, List[Form]]:
    """The forms by the number of brackets that they open with; the first of several is the likelier one."""
    forms: Dict[int, List[Form]] = {}

    def add(nesting: int, kind: Any, batched: bool, flat: bool = False) -> None:
        forms.setdefault(nesting, []).append(Form(msgspec.json.Decoder(kind), batched, flat))

    one, nesting = value_type(space), _nesting(space)
    add(nesting, one, batched=False)
    add(nesting + 1, batch_type(one), batched=True)
    if space["type"] in ("Tuple", "Dict") or (space["type"] == "Box" and nesting > 1):
        add(1, _numbers([width]), batched=False, flat=True)
    if space["type"] in ("Tuple", "Dict", "Discrete") or (space["type"] == "Box" and nesting > 1):
        # not the single one for Discrete: [0, 1] is two of its values
        add(2, batch_type(_numbers([width])), batched=True, flat=True)
    return forms


def _nesting(space: Space) -> int:
    if space["type"] == "Box":
        return len(space["shape"])
    if space["type"] == "Tuple":
        return 1 + _nesting(space["spaces"][0])
    return 1 if space["type"] in ("MultiDiscrete", "MultiBinary") else 0
