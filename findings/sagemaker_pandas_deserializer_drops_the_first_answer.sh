#!/usr/bin/env bash
# What happens: PandasDeserializer of the SageMaker Python SDK 2.257.7 takes the first line of a CSV for the names of the
#   columns. What the SDK's own CSVSerializer writes, and what sagemaker-inference 1.10.1 answers with, has no such line: of
#   three answers two are left, of one none, and the lost one names the columns.
# One would have guessed: what one half of a package writes the other reads, and an answer has as many rows as the question.
# Where it matters: a batch of observations gets its actions shifted by one against them; asked for one action, a program
#   finds an empty table, or takes an empty mean for NaN. NumpyDeserializer and CSVDeserializer give all rows.
#
# Needs Python 3.11 (PYTHON names it, where it is not python3.11 on PATH) and a package index; takes a minute or two.
# Exit status: 0 the libraries still behave so, 1 they do not.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3.11}" -m venv "$work/env"
"$work/env/bin/pip" install --quiet --disable-pip-version-check 'sagemaker==2.257.7' 'sagemaker-inference==1.10.1' 'numpy==2.4.6'
cd "$work"
cat > check.py <<'PYTHON'
import io
import sys

import numpy as np
from sagemaker.deserializers import CSVDeserializer, NumpyDeserializer, PandasDeserializer
from sagemaker.serializers import CSVSerializer
from sagemaker_inference import encoder

ACTIONS = np.array([[0.5, -0.5], [0.25, 1.0], [-1.0, 0.0]])


def rows(text):
    """Give the number of rows that each of the three reads from a CSV."""
    kinds = PandasDeserializer, NumpyDeserializer, CSVDeserializer
    return [len(np.atleast_2d(kind().deserialize(io.BytesIO(text), "text/csv"))) for kind in kinds]


def written(actions):
    """Give the actions as a CSV, as the SDK sends them and as the serving toolkit answers with them."""
    answer = encoder.encode(actions, "text/csv")
    return CSVSerializer().serialize(actions).encode(), answer if isinstance(answer, bytes) else answer.encode()


three, one = ([rows(text) for text in written(actions)] for actions in (ACTIONS, ACTIONS[:1]))
table = PandasDeserializer().deserialize(io.BytesIO(written(ACTIONS)[1]), "text/csv")
print(f"rows read by pandas, numpy, csv: of three {three}, of one {one}\n{table}")
sys.exit(not (three == [[2, 3, 3]] * 2 and one == [[0, 1, 1]] * 2 and list(table.columns) == ["0.5", "-0.5"]))
PYTHON
env/bin/python check.py
