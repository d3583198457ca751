"""CSV: an observation a line, and an action a line, without a newline after the last.

SageMaker's batch transform puts a newline of its own between the answers that it joins (``AssembleWith: Line``).
"""

from __future__ import annotations

import math
from typing import List, Sequence

import numpy as np

from rl_app.policy.loading import Outputs
from rl_app.policy.policy import Policy
from rl_app.serving.media_types.media_type import MediaType
from rl_app.serving.observations import named
from rl_app.serving.outputs import actions_of
from rl_app.serving.queries import Query, Reader
from rl_app.serving.refusal import bad
from rl_app.serving.schemas import Schema, columns
from rl_app.serving.slices import sliced, slices
from rl_app.spaces.description import Array, shape_of


def decode(reader: Reader, body: bytes) -> Query:
    """Read an observation a line, its numbers in the order of the flat vector's parts."""
    try:
        text = body.decode("utf-8-sig")  # spreadsheets begin with a mark of the encoding
    except UnicodeDecodeError as error:
        raise bad(f"body: byte {error.start} is no UTF-8") from None
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    if not lines:
        raise bad("body: the batch is empty; at least one line of numbers is expected")
    columns = reader.observations.columns
    parts = [np.array([numbers_of(line, number, columns) for number, line in lines[of]]) for of in slices(len(lines))]
    return Query(reader.observations.from_array(np.concatenate(parts), "body"))


def numbers_of(line: str, number: int, columns: int) -> List[float]:
    """Read the numbers of one line; raises Refusal, which names the line."""
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


def encode(outputs: Outputs, _: bool) -> bytes:
    """Write the action a line; an action of several numbers has its parts in their order."""
    return b"\n".join(text_of(actions_of(part)) for part in sliced(outputs))


def text_of(actions: Sequence[Array]) -> bytes:
    """Write the lines of some rows."""
    parts = [part.reshape(len(part), -1).tolist() for part in actions]
    return "\n".join(",".join(repr(value) for part in row for value in part) for row in zip(*parts)).encode()


def request_schema(policy: Policy) -> Schema:
    """Describe a request, with the order of its numbers."""
    parts = [f"{named('observation', leaf.path)} ({math.prod(shape_of(leaf.space))})" for leaf in policy.leaves]
    order = f"{columns(policy)} numbers, in this order: {', '.join(parts)}"
    return {"type": "string", "description": f"an observation a line, without a head: {order}"}


CSV = MediaType(
    name="text/csv",
    decode=decode,
    encode=encode,
    request=request_schema,
    answer={"type": "string", "description": "an action a line, the numbers of its parts in their order"},
    example=lambda policy: ",".join(["0"] * columns(policy)) + "\n",
)
