"""JSON Lines: an instance a line, and an object of outputs a line, without a newline after the last.

SageMaker's batch transform puts a newline of its own between the answers that it joins (``AssembleWith: Line``).
"""

from __future__ import annotations

from typing import Sequence

import numpy as np
import orjson

from rl_app.policy.loading import Outputs
from rl_app.serving.media_types import json
from rl_app.serving.media_types.media_type import MediaType
from rl_app.serving.outputs import rows_of
from rl_app.serving.queries import Query, Reader
from rl_app.serving.refusal import Refusal, bad
from rl_app.serving.slices import ROWS, sliced, slices


def decode(reader: Reader, body: bytes) -> Query:
    """Read an observation a line, or an object a line with ``observations`` and what goes with it."""
    lines = [line for line in body.split(b"\n") if line.strip()]
    if not lines:
        raise bad("body: the batch is empty; at least one line is expected")
    queries = [query_of(reader, lines[of], of.start) for of in slices(len(lines))]
    for number, query in enumerate(queries):
        if (len(query.state), set(query.previous)) != (len(queries[0].state), set(queries[0].previous)):
            raise bad(f"line {number * ROWS + 1}: expected the same fields in each line")
    return queries[0] if len(queries) == 1 else joined(queries)


def query_of(reader: Reader, lines: Sequence[bytes], start: int) -> Query:
    """Read some of the lines, after the first ``start``."""
    rows = [json.load(line, f"line {number}") for number, line in enumerate(lines, start + 1)]
    try:
        return reader.query({"instances": rows})
    except Refusal as refusal:
        raise bad(f"after line {start}: {refusal}" if start else str(refusal)) from None


def joined(queries: Sequence[Query]) -> Query:
    """Join the rows of queries that give the same."""
    first = queries[0]
    return first._replace(
        flat=np.concatenate([query.flat for query in queries]),
        state=[np.concatenate(states) for states in zip(*(query.state for query in queries))],
        previous={name: np.concatenate([query.previous[name] for query in queries]) for name in first.previous},
    )


def encode(outputs: Outputs, _: bool) -> bytes:
    """Write an object a line."""
    return b"\n".join(text_of(part) for part in sliced(outputs))


def text_of(outputs: Outputs) -> bytes:
    """Write the lines of some rows."""
    return b"\n".join(orjson.dumps(row, option=orjson.OPT_SERIALIZE_NUMPY) for row in rows_of(outputs))


JSON_LINES = MediaType(
    name="application/jsonlines",
    aliases=("application/jsons",),  # AWS's other name
    decode=decode,
    encode=encode,
    request=lambda _: {"type": "string", "description": "an instance a line, as those of `instances` in JSON"},
    answer={"type": "string", "description": "an object of outputs a line, as those of `predictions` in JSON"},
    writes_null=True,
)
