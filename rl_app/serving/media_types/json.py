"""JSON: observations with what goes with them, TensorFlow Serving's two forms, or just the observations."""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from typing import Any, Dict, List, Optional

import numpy as np
import orjson

from rl_app.policy.loading import Input, Outputs
from rl_app.policy.policy import Policy
from rl_app.serving.media_types.media_type import MediaType
from rl_app.serving.outputs import rows_of
from rl_app.serving.queries import LOOKING_BACK, SERVING_DEFAULT, SIGNATURE, Query, Reader
from rl_app.serving.refusal import bad
from rl_app.serving.schemas import FLOAT, Schema, closed, component, either, example, nested, of_space
from rl_app.serving.slices import sliced
from rl_app.spaces.description import Space


def decode(reader: Reader, body: bytes) -> Query:
    """Read the value of the whole body."""
    return reader.query(load(body, "body"))


def load(text: bytes, name: str) -> Any:
    """Parse a JSON text, which may begin with UTF-8's mark; raises Refusal."""
    try:
        return orjson.loads(text[len(BOM_UTF8) :] if text.startswith(BOM_UTF8) else text)
    except orjson.JSONDecodeError as error:
        said = str(error)
    if re.search(rb"\b(NaN|-?Infinity)\b", text) or "infinity" in said:
        raise bad(f"{name}: NaN and infinity are no numbers of JSON, nor of an observation ({said})")
    raise bad(f"{name}: malformed JSON: {said}")


def encode(outputs: Outputs, by_row: bool) -> bytes:
    """Write ``{"outputs": {name: [batch, …]}}``, or ``{"predictions": [{name: …}, …]}``."""
    if by_row:
        texts = (orjson.dumps(rows_of(part), option=orjson.OPT_SERIALIZE_NUMPY)[1:-1] for part in sliced(outputs))
        return b'{"predictions":[%s]}' % b",".join(texts)
    return orjson.dumps({"outputs": outputs}, option=orjson.OPT_SERIALIZE_NUMPY)


def encode_each(outputs: Outputs) -> Optional[List[bytes]]:
    """Write what :func:`encode` does for each row alone, for all rows in the time of a few.

    Gives None where it cannot be had so: an output has more than two dimensions, or something in it is not finite.
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


def request_schema(policy: Policy) -> Schema:
    """Describe the three forms, and just the observations."""
    common: Dict[str, Schema] = {"signature_name": {"type": "string", "enum": [SERVING_DEFAULT]}}
    if policy.unsampled is None:
        common["deterministic"] = {"type": "boolean", "default": True, "description": "false: actions are sampled"}
    else:
        common["deterministic"] = {"type": "boolean", "enum": [True], "description": policy.unsampled}
    by_column, one = inputs(policy, by_row=False), inputs(policy, by_row=True)
    several = {"type": "array", "minItems": 1, "items": component("Observation")}
    instances = {
        "anyOf": [several, {"type": "array", "minItems": 1, "items": closed(one, ["observations"])}],
        "description": "an observation each, or an object of inputs each, all with the same fields",
    }
    is_list = of_space(policy.observation_space)["type"] == "array"
    return {
        "anyOf": [
            closed({**by_column, **common}, ["observations"]),
            closed(
                {"inputs": {"anyOf": [closed(by_column, ["observations"]), one_or_many(policy)]}, **common}, ["inputs"]
            ),
            closed({"instances": instances, **common}, ["instances"]),
            one_or_many(policy) if is_list else several,
        ]
    }


def inputs(policy: Policy, by_row: bool) -> Dict[str, Schema]:
    """Describe each field, of one row or with the batch first; what is not read may be anything."""
    state = "the recurrent state, as the last answer's state_out_{} gave it; zeros, the start of an episode, if missing"
    known = {"observations": component("Observation") if by_row else one_or_many(policy)}
    for i, size in enumerate(policy.state_sizes):
        known[f"state_in_{i}"] = column(Input(np.float32, (size,)), by_row, state.format(i))
    for name in LOOKING_BACK:
        if name in policy.inputs:
            known[name] = column(policy.inputs[name], by_row, "of the step before; zeros if it is missing")
    for name in (*LOOKING_BACK, *SIGNATURE):
        known.setdefault(name, {"description": "taken in any shape, and not read"})
    return known


def column(given: Input, by_row: bool, description: str) -> Schema:
    """Describe an input for each observation."""
    dtype = np.dtype(given.dtype)
    whole = np.iinfo(dtype) if dtype.kind == "i" else None
    item = {"type": "integer", "minimum": whole.min, "maximum": whole.max} if whole else FLOAT
    one = nested(given.shape or (), item)
    return {**(one if by_row else either(one)), "description": description}


def one_or_many(policy: Policy) -> Schema:
    """Describe an observation or a list of them; of a Dict space also the columns."""
    return {**either(component("Observation")), "description": of_many(policy.observation_space)}


def of_many(space: Space) -> str:
    """Say what a batch may be beside a list of observations."""
    if space["type"] == "Dict":
        return "an observation, a list of them, or an object that has a list for each key, all of the same length"
    return "an observation or a list of them"


def answer_schema() -> Schema:
    """Describe an answer by output, and one by row."""
    by_output = closed({"outputs": component("Outputs")}, ["outputs"])
    by_row = closed({"predictions": {"type": "array", "items": component("Row")}}, ["predictions"])
    return {"oneOf": [by_output, by_row]}


JSON = MediaType(
    name="application/json",
    decode=decode,
    encode=encode,
    request=request_schema,
    answer=answer_schema(),
    example=lambda policy: {"observations": [example(policy.observation_space)]},
    writes_null=True,
)
