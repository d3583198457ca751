#!/usr/bin/env bash
# What happens: onnxruntime 1.19.2 on the CPU: ArgMax of three numbers ignores a NaN, unless it comes first, where
#   it wins; ReduceMax of 17 numbers gives NaN where the NaN comes first and the largest number where it comes last.
#   Max of two tensors gives NaN, as numpy does.
# One would have guessed: NaN wins, as in numpy's argmax and max, or is ignored, but the same wherever it stands.
# Where it matters: a policy whose logits hold a NaN answers with a plausible action for some inputs and not for
#   others; finiteness has to be checked on the logits, not on the action or on a maximum.
#
# Needs Python 3.8 (PYTHON names it, where it is not python3.8 on PATH) and a package index; takes about a minute.
# Exit status: 0 the library still behaves so, 1 it does not.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3.8}" -m venv "$work/env"
"$work/env/bin/pip" install --quiet --disable-pip-version-check 'onnx==1.17.0' 'onnxruntime==1.19.2' 'numpy==1.23.5'
cd "$work"
cat > check.py <<'PYTHON'
import sys

import numpy as np
import onnxruntime
from onnx import TensorProto, helper


def run(operator, numbers, **attributes):
    kind = TensorProto.INT64 if operator == "ArgMax" else TensorProto.FLOAT
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, [len(numbers)])
    graph = helper.make_graph(
        [helper.make_node(operator, ["x"], ["y"], **attributes)],
        "one",
        [given],
        [helper.make_tensor_value_info("y", kind, None)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": np.array(numbers, np.float32)})[0].item()


nan, rest = float("nan"), [float(number) for number in range(1, 17)]
best = [run("ArgMax", numbers, axis=0, keepdims=0) for numbers in ([nan, 1, 2], [1, nan, 2], [1, 2, nan])]
largest = [run("ReduceMax", numbers, keepdims=0) for numbers in ([nan, *rest], [*rest, nan])]
numpys = [int(np.argmax(numbers)) for numbers in ([nan, 1, 2], [1, nan, 2], [1, 2, nan])]
print(f"ArgMax {best} (numpy {numpys}); ReduceMax {largest} (numpy nan both times)")
sys.exit(not (best == [0, 2, 1] and np.isnan(largest[0]) and largest[1] == 16.0))
PYTHON
env/bin/python check.py
