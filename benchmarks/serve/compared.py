"""The servers that `serve` is compared with: each is `serve` with one thing put in its place.

usage: python compared.py constant|bare MODEL [--port N]

constant   the whole of `serve` but the policy: it reads the body, and answers the same bytes to all
bare       the same, and its answer is the request's JSON, one bare forward pass, and the answer's JSON
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import orjson

from rl_app import serve
from rl_app.serving.app import Answer, App, Request
from rl_app.serving.media_types.json import JSON

CONSTANT = b'{"outputs":{"actions_0":[1],"action_prob":[0.85],"action_logp":[-0.16],"vf_preds":[47.2]}}'


async def constant(self: App, request: Request) -> Answer:
    """The least that a server can do."""
    return Answer(200, JSON.name, CONSTANT)


def bare(model: str) -> Any:
    """What cannot be left out."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(Path(model) / "policy.onnx"), options)
    names = [output.name for output in session.get_outputs()]

    async def invocations(self: App, request: Request) -> Answer:
        observations = np.array(orjson.loads(request.body)["observations"], np.float32)
        outputs = dict(zip(names, session.run(names, {"observations": observations})))
        return Answer(200, JSON.name, orjson.dumps({"outputs": outputs}, option=orjson.OPT_SERIALIZE_NUMPY))

    return invocations


if __name__ == "__main__":
    kind, *arguments = sys.argv[1:]
    App.invocations = constant if kind == "constant" else bare(arguments[0])  # type: ignore[method-assign]
    sys.exit(serve.main(arguments))
