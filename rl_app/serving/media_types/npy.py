"""NumPy's file of one array: the observations, and the actions."""

from __future__ import annotations

import io
import math
import re
import struct

import numpy as np

from rl_app.policy.loading import Outputs
from rl_app.policy.policy import Policy
from rl_app.serving.media_types.media_type import MediaType
from rl_app.serving.outputs import actions_of
from rl_app.serving.queries import Query, Reader
from rl_app.serving.refusal import bad
from rl_app.serving.schemas import Schema, columns
from rl_app.spaces.description import Array, shape_of

NPY_HEADER = re.compile(
    r"\{\s*'descr':\s*'(?P<dtype>[<>|=]?[iufb]\d{1,2})',\s*'fortran_order':\s*(?P<by_column>True|False),"
    r"\s*'shape':\s*\((?P<shape>[\d\s,]{0,200})\),?\s*\}\s*"
)
"""What NumPy writes for an array of numbers (its NEP 1): a literal of Python's, which is matched and not evaluated."""


def decode(reader: Reader, body: bytes) -> Query:
    """Read an array of numbers, never one of pickled objects."""
    return Query(reader.observations.from_array(read_npy(body), "body"))


def read_npy(body: bytes) -> Array:
    """Read the array of a .npy file, without copying it, and without trusting what it says of its size."""
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


def encode(outputs: Outputs, _: bool) -> bytes:
    """Write the actions as one array; the parts of a Tuple stand beside each other."""
    parts = actions_of(outputs)
    joined = parts[0] if len(parts) == 1 else np.concatenate([part.reshape(len(part), -1) for part in parts], axis=1)
    file = io.BytesIO()
    np.save(file, joined, allow_pickle=False)
    return file.getvalue()


def request_schema(policy: Policy) -> Schema:
    """Describe a request, with its shapes."""
    own = shape_of(policy.leaves[0].space)
    also = f", or [batch, {', '.join(map(str, own))}]" if not policy.leaves[0].path and len(own) > 1 else ""
    shape = f"[batch, {columns(policy)}]{also}"
    return {"type": "string", "format": "binary", "description": f"a .npy file of numbers of the shape {shape}"}


NPY = MediaType(
    name="application/x-npy",
    decode=decode,
    encode=encode,
    request=request_schema,
    answer={"type": "string", "format": "binary", "description": "a .npy file of the actions, [batch, ...]"},
)
